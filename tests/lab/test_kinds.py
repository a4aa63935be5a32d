"""Every kind against every fault, on real packets, real servers and a real router, IPv4 and IPv6.

a (prod/w1/pod) ── r ── b (dev/w1/pod)

Each test makes one fault and asks all kinds at once. What is particular to a kind has a file of its own; the
table in docs/probes.md says which.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import (
    AppFailed,
    NotMeasured,
    NotResolved,
    Outcome,
    OutcomeKind,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TlsFailed,
    TooBig,
)
from netprobe.model.prose import Prose
from netprobe.wire.messages import CheckAnswer
from tests.facts import texts
from tests.lab import servers
from tests.lab.agent_asker import Asker
from tests.lab.agents import MS, PORT, make_check
from tests.lab.icmp_codes import CODES_V4, CODES_V6
from tests.lab.linear_network import (
    BACK,
    A,
    B,
    Line,
    family_of,
    version_of,
)
from tests.lab.namespaces import need_namespaces
from tests.lab.servers import NAME, serving

pytestmark = [
    pytest.mark.lab,
    need_namespaces(),
    pytest.mark.skipif(bool(servers.why_not()), reason=servers.why_not() or "servers work"),
]

B4, B6 = "10.2.0.2", "fd00:2::2"
R = {B4: "10.1.0.2", B6: "fd00:1::2"}
BEHIND = {B4: "10.2.0.1", B6: "fd00:2::1"}
VIRTUAL = {B4: "10.9.0.9", B6: "fd00:9::9"}
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
ANSWER_MS, SILENCE_MS = 10_000, 400
TRIES = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """A question and where its answer comes from."""

    kind: str
    port: int = 0
    options: dict[str, str] = field(default_factory=dict)
    name: str = ""
    phases: tuple[str, ...] = ()
    is_tcp: bool = False

    def check(self, address: str, *, timeout_ms: int, size: int = 0) -> Check:
        """The question to *address*."""
        options = tuple(sorted(self.options.items()))
        probe = Probe(self.kind, self.port, size, self.name, timeout_ms * MS, options)
        if self.kind == "udp":
            return make_check(A, address, probe, name=str(B), count=1)
        return make_check(A, address, probe, name=address, kind=TargetKind.OUTSIDE, count=1)


KINDS = {
    "icmp": Kind("icmp"),
    "udp": Kind("udp", PORT),
    "tcp": Kind("tcp", servers.HTTP, phases=("connect",), is_tcp=True),
    "tls": Kind("tls", servers.HTTPS, name=NAME, phases=("connect", "tls"), is_tcp=True),
    "http": Kind("http", servers.HTTP, phases=("connect", "first-byte"), is_tcp=True),
    "https": Kind("http", servers.HTTPS, {"tls": "yes"}, NAME, ("connect", "tls", "first-byte"), is_tcp=True),
    "grpc": Kind("grpc", servers.GRPC, phases=("connect", "answer"), is_tcp=True),
    "grpcs": Kind("grpc", servers.GRPCS, {"tls": "yes"}, NAME, ("connect", "tls", "answer"), is_tcp=True),
    "dns": Kind("dns", servers.DNS, {"type": "SRV"}, "_http._tcp.example.org"),
    "dns-tcp": Kind("dns", servers.DNS, {"transport": "tcp"}, NAME, is_tcp=True),
}
WALKS = {
    "pmtu": Kind("pmtu", PORT, {"patience": "200"}),
    "trace": Kind("trace", PORT, {"patience": "200", "transport": "udp"}),
    "trace-tcp": Kind("trace", PORT, {"patience": "200", "transport": "tcp"}),
    "trace-icmp": Kind("trace", 0, {"patience": "200", "transport": "icmp"}),
    "firewalk": Kind("firewalk", servers.HTTP, {"patience": "200", "control": str(PORT)}),
    "idle": Kind("idle", PORT, {"gaps": "1", "patience": "2000"}),
}
"""Kinds that talk for longer and judge silence themselves."""
TCP = {name: kind for name, kind in KINDS.items() if kind.is_tcp}


@dataclass(slots=True)
class Scene:
    """The row and who asks in it."""

    line: Line
    asker: Asker

    def ask(
        self, kinds: dict[str, Kind], address: str, *, timeout_ms: int = ANSWER_MS, size: int = 0
    ) -> dict[str, CheckAnswer]:
        """All of them at once; kinds that were not measured, as on a busy machine, are asked again."""
        answers: dict[str, CheckAnswer] = {}
        for _ in range(TRIES):
            left = {name: kind for name, kind in kinds.items() if name not in answers}
            checks = [kind.check(address, timeout_ms=timeout_ms, size=size) for kind in left.values()]
            told = zip(left, self.asker.ask_all(checks), strict=True) if checks else ()
            answers |= {
                name: answer for name, answer in told if not isinstance(answer.outcomes[0], NotMeasured)
            }
        assert set(answers) == set(kinds), f"not measured: {set(kinds) - set(answers)}"
        return {name: answers[name] for name in kinds}

    def outcomes(self, address: str, *, timeout_ms: int = ANSWER_MS) -> dict[str, Outcome]:
        """How all kinds end."""
        told = self.ask(KINDS, address, timeout_ms=timeout_ms)
        return {name: answer.outcomes[0] for name, answer in told.items()}

    def forward(self, rule: str) -> None:
        """What the router does with what it forwards."""
        self.line.r.nft(f"add rule inet test forward {rule}")


@pytest.fixture(scope="module")
def network(linear_network: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("kinds")
    resolv = folder / "resolv.conf"
    resolv.write_text(f"search example.org\nnameserver {B4}\noptions ndots:2\n")
    mount = f'mount --bind {resolv} {os.path.realpath("/etc/resolv.conf")} && exec "$@"'
    within = ("unshare", "-m", "sh", "-c", mount, "sh")
    with serving(linear_network.b, folder), Asker(linear_network.a, within=within) as asker:
        yield Scene(linear_network, asker)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    yield network
    network.line.clear()


@BOTH
def test_every_kind_reaches_over_a_sound_path_and_tells_its_phases(scene: Scene, address: str) -> None:
    for name, answer in scene.ask(KINDS, address).items():
        assert isinstance(answer.outcomes[0], Reached), (name, answer)
        assert tuple(phase for phase, _ in answer.details[0].phases_ns) == KINDS[name].phases, name
        assert all(span > 0 for _, span in answer.details[0].phases_ns)
        if name == "tls":
            facts = texts(answer.details[0].facts)
            assert (facts["subject"], facts["names"], str(facts["version"])[:7]) == ("echo", NAME, "TLSv1.3")


@BOTH
@pytest.mark.parametrize("side", ["daddr", "saddr"], ids=["way out", "way back"])
def test_a_silent_drop_is_silence_for_every_kind(scene: Scene, address: str, side: str) -> None:
    scene.forward(f"{family_of(address)} {side} {address} drop")
    outcomes = scene.outcomes(address, timeout_ms=SILENCE_MS)
    assert outcomes == dict.fromkeys(KINDS, TimedOut(SILENCE_MS * MS))


@BOTH
def test_what_is_lost_on_the_way_back_is_silence_at_the_end_of_every_walk(scene: Scene, address: str) -> None:
    """The router itself can still be heard, so a walk says how far its packets came for certain."""
    scene.forward(f"{family_of(address)} saddr {address} drop")
    told = scene.ask(WALKS, address)
    assert {answer.outcomes[0].kind for answer in told.values()} == {OutcomeKind.TIMED_OUT}, told
    for name in ("trace", "trace-tcp", "trace-icmp"):
        assert str(told[name].details[0].words) == f"silence behind hop 1 ({R[address]})"
    assert texts(told["pmtu"].details[0].facts) == {"forward": "unreachable", "back": "unreachable"}
    said = str(told["firewalk"].details[0].words)
    assert said.startswith("cannot be known"), "its control probe is as silent"


@pytest.mark.parametrize(
    ("address", "word", "code"),
    [
        *(pytest.param(B4, word, (3, code), id=f"v4 {word}") for word, code in CODES_V4.items()),
        *(pytest.param(B6, word, (1, code), id=f"v6 {word}") for word, code in CODES_V6.items()),
    ],
)
def test_a_rejection_names_its_sender_and_code_for_every_kind(
    scene: Scene, address: str, word: str, code: tuple[int, int]
) -> None:
    kind = "icmp" if address == B4 else "icmpv6"
    scene.forward(f"{family_of(address)} daddr {address} reject with {kind} type {word}")
    assert scene.outcomes(address) == dict.fromkeys(KINDS, Rejected(R[address], *code))
    told = scene.ask(WALKS, address)
    walked = {name: answer.outcomes[0] for name, answer in told.items()}
    assert walked == dict.fromkeys(WALKS, Rejected(R[address], *code))


@BOTH
def test_a_reset_by_a_firewall_and_a_closed_port_are_refusals(scene: Scene, address: str) -> None:
    scene.forward(f"{family_of(address)} daddr {address} meta l4proto tcp reject with tcp reset")
    asked = {**KINDS, "pmtu": WALKS["pmtu"]}
    closed = {name: replace(kind, port=7) for name, kind in asked.items() if name != "icmp"}
    for asked in (TCP, closed):
        for name, answer in scene.ask(asked, address).items():
            assert isinstance(answer.outcomes[0], Refused), (name, answer)
        scene.line.r.nft()


@BOTH
@pytest.mark.parametrize("side", ["daddr", "saddr"], ids=["way out", "way back"])
def test_a_black_hole_for_data_is_silence_behind_a_connection(scene: Scene, address: str, side: str) -> None:
    """Handshakes pass, larger packets vanish: what an MTU black hole does, brought down to small talk."""
    scene.forward(f"{family_of(address)} {side} {address} meta length > 90 drop")
    talking = {name: kind for name, kind in TCP.items() if name not in {"tcp", "dns-tcp", "grpc"}}
    for name, answer in scene.ask(talking, address, timeout_ms=1_500).items():
        detail = answer.details[0]
        assert isinstance(answer.outcomes[0], TimedOut), (name, answer)
        assert str(detail.words) == "connected, then silence", (name, detail)
        assert [phase for phase, _ in detail.phases_ns] == ["connect"], (name, detail)
    assert isinstance(scene.ask({"tcp": KINDS["tcp"]}, address)["tcp"].outcomes[0], Reached)


@BOTH
def test_large_packets_tell_a_clamp_from_a_black_hole_in_each_direction(scene: Scene, address: str) -> None:
    echoes = {name: KINDS[name] for name in ("icmp", "udp")}
    router = scene.line.r
    router.ip("link set to-b mtu 1300\n")
    try:
        out = scene.ask(echoes, address, size=1_400)
    finally:
        router.ip("link set to-b mtu 1500\n")
    assert [answer.outcomes[0] for answer in out.values()] == [TooBig(1300, R[address])] * 2
    for side in ("daddr", "saddr"):
        scene.forward(f"{family_of(address)} {side} {address} meta length > 1300 drop")
        large = scene.ask(echoes, address, size=1_400, timeout_ms=SILENCE_MS)
        small = scene.ask(echoes, address)
        assert [answer.outcomes[0].kind for answer in large.values()] == [OutcomeKind.TIMED_OUT] * 2
        assert [answer.outcomes[0].kind for answer in small.values()] == [OutcomeKind.REACHED] * 2


@BOTH
def test_translators_show_where_the_far_end_tells_and_hinder_nobody(scene: Scene, address: str) -> None:
    family = family_of(address)
    scene.line.r.nft(
        f"add rule inet test prerouting {family} daddr {VIRTUAL[address]} dnat {family} to {address}",
        f"add rule inet test postrouting {family} daddr {address} masquerade",
    )
    told = scene.ask({**KINDS, **WALKS}, VIRTUAL[address])
    reached = {name for name, answer in told.items() if isinstance(answer.outcomes[0], Reached)}
    assert reached == {*KINDS, *WALKS}, told
    assert told["udp"].details[0].observed_source == BEHIND[address]


@BOTH
def test_http_is_judged_by_its_status_and_inside_tls_by_its_certificate(scene: Scene, address: str) -> None:
    def asking(port: int, name: str = NAME, **options: str) -> Kind:
        return Kind("http", port, options, name)

    told = scene.ask({
        "busy": asking(servers.HTTP, path="/status/503"),
        "busy inside": asking(servers.HTTPS, path="/status/503", tls="yes"),
        "as expected": asking(servers.HTTPS, path="/status/404", status="404", tls="yes"),
        "not as expected": asking(servers.HTTPS, status="204", tls="yes"),
        "another's": asking(servers.HTTPS, name="other.example.org", tls="yes"),
        "plain to TLS": asking(servers.HTTPS),
        "TLS to plain": asking(servers.HTTP, tls="yes"),
        "slow": asking(servers.HTTPS, path="/slow", tls="yes"),
    }, address)  # fmt: skip
    outcomes = {name: answer.outcomes[0] for name, answer in told.items()}
    assert outcomes["busy"] == outcomes["busy inside"] == AppFailed(Prose("HTTP status 503"))
    assert isinstance(outcomes["as expected"], Reached)
    assert outcomes["not as expected"] == AppFailed(Prose("HTTP status 200, not 204"))
    assert outcomes["another's"] == TlsFailed(
        Prose(f"the certificate is for {NAME}, not for other.example.org")
    )
    assert isinstance(outcomes["plain to TLS"], AppFailed)
    assert isinstance(outcomes["TLS to plain"], TlsFailed)
    phases = dict(told["slow"].details[0].phases_ns)
    assert phases["first-byte"] > 300 * MS, "the server waits that long, whatever the network does"


@BOTH
def test_grpc_health_is_told_apart_plain_and_inside_tls(scene: Scene, address: str) -> None:
    def asking(port: int = servers.GRPCS, service: str = "", name: str = NAME, tls: str = "yes") -> Kind:
        return Kind("grpc", port, {"service": service, "tls": tls}, name)

    told = scene.ask({
        "well": asking(service="SERVING"),
        "sick": asking(service="NOT_SERVING"),
        "dull": asking(servers.GRPC, service="UNKNOWN", tls="no"),
        "unknown": asking(servers.GRPC, service="nowhere", tls="no"),
        "HTTP/1": asking(PORT, tls="no"),
        "another's": asking(name="other.example.org"),
        "no HTTP/2": asking(servers.HTTPS),
        "plain": asking(servers.GRPC),
        "bare": asking(servers.GRPC_BARE, tls="no"),
    }, address)  # fmt: skip
    outcomes = {name: answer.outcomes[0] for name, answer in told.items()}
    assert isinstance(outcomes["well"], Reached)
    assert outcomes["sick"] == AppFailed(Prose("service 'NOT_SERVING' says NOT_SERVING"))
    assert outcomes["dull"] == AppFailed(Prose("service 'UNKNOWN' says UNKNOWN"))
    assert outcomes["unknown"] == AppFailed(Prose("the server knows no service 'nowhere' (NOT_FOUND)"))
    assert outcomes["HTTP/1"] == AppFailed(Prose("not HTTP/2: it answers in HTTP/1"))
    assert outcomes["another's"] == TlsFailed(
        Prose(f"the certificate is for {NAME}, not for other.example.org")
    )
    assert outcomes["no HTTP/2"] == AppFailed(
        Prose("the server offers no HTTP/2 inside TLS (ALPN h2), which gRPC needs")
    )
    assert isinstance(outcomes["plain"], TlsFailed)
    assert outcomes["bare"] == AppFailed(
        Prose("the server speaks gRPC but offers no health checks (UNIMPLEMENTED)")
    )


@BOTH
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_every_type_of_record_comes_from_a_real_server_who_is_named(
    scene: Scene, address: str, transport: str
) -> None:
    def asking(kind: str, name: str = NAME) -> Kind:
        return Kind("dns", servers.DNS, {"type": kind, "transport": transport}, name)

    told = scene.ask({
        "A": asking("A"), "AAAA": asking("AAAA"), "SRV": asking("SRV", "_http._tcp.example.org"),
        "none": asking("SRV"), "nobody": asking("A", "nobody.example.net"),
    }, address)  # fmt: skip
    records = {name: texts(answer.details[0].facts).get("records") for name, answer in told.items()}
    assert records == {"A": B4, "AAAA": B6, "SRV": f"0 0 8080 {NAME}.", "none": None, "nobody": None}
    server = texts(told["A"].details[0].facts)["server"]
    assert server == f"{address} port 53, over {transport.upper()}"
    assert told["none"].outcomes[0] == NotResolved(NAME, "NODATA")
    refusal = told["nobody"].outcomes[0]
    assert isinstance(refusal, NotResolved)
    assert refusal.rcode in {"REFUSED", "NXDOMAIN", "SERVFAIL"}


@BOTH
def test_a_name_is_resolved_first_and_its_failure_is_told_as_such(scene: Scene, address: str) -> None:
    def asking(name: str) -> dict[str, Kind]:
        return {"it": Kind("http", servers.HTTPS, {"tls": "yes", "resolve": "yes"}, name)}

    seen = scene.ask(asking(NAME), address)["it"]
    assert isinstance(seen.outcomes[0], Reached), seen
    assert [phase for phase, _ in seen.details[0].phases_ns] == ["resolve", "connect", "tls", "first-byte"]
    assert texts(seen.details[0].facts)["resolved"] == address
    short = scene.ask(asking("echo"), address)["it"]
    assert texts(short.details[0].facts)["resolved"] == address, "by the search list"
    assert isinstance(short.outcomes[0], TlsFailed), "the certificate bears the whole name"
    unknown = scene.ask(asking("nobody.example.net"), address)["it"]
    assert isinstance(unknown.outcomes[0], NotResolved), unknown
    assert [phase for phase, _ in unknown.details[0].phases_ns] == ["resolve"]
    scene.forward("udp dport 53 drop")
    silent = scene.ask(asking(NAME), address, timeout_ms=SILENCE_MS)["it"]
    assert silent.outcomes[0] == NotResolved(NAME, "timeout"), silent


@BOTH
def test_a_reset_by_a_firewall_ends_a_walk_like_the_target_s_own(scene: Scene, address: str) -> None:
    """It bears the target's address: no packet tells it from a closed port, and neither walk says more."""
    scene.forward(f"{family_of(address)} daddr {address} meta l4proto tcp reject with tcp reset")
    told = scene.ask({name: WALKS[name] for name in ("trace-tcp", "firewalk")}, address)
    assert {answer.outcomes[0].kind for answer in told.values()} == {OutcomeKind.REACHED}, told
    facts = {name: texts(answer.details[0].facts) for name, answer in told.items()}
    assert str(facts["trace-tcp"]["hop 2"]).startswith("target refuses the port: no process listens"), facts
    refused = "the target refuses it: no process listens, nothing drops it"
    assert facts["firewalk"][f"port {servers.HTTP}"] == refused


@BOTH
def test_a_clamp_on_the_way_back_is_the_far_kernel_s_affair_for_echoes(scene: Scene, address: str) -> None:
    """Its router speaks to the far end. A kernel fragments its echo replies then (over IPv6 from the second
    on, RFC 8201), an agent's answers stay whole and are lost: what passes back is for pmtu to say."""
    back = BACK[version_of(address)]
    scene.line.r.ip(f"route replace {back} mtu lock 1300\n")
    try:
        for _ in range(TRIES):
            icmp = scene.ask({"icmp": KINDS["icmp"]}, address, size=1_400, timeout_ms=SILENCE_MS)["icmp"]
            if isinstance(icmp.outcomes[0], Reached):
                break
        udp = scene.ask({"udp": KINDS["udp"]}, address, size=1_400, timeout_ms=SILENCE_MS)["udp"]
        small = scene.ask({name: KINDS[name] for name in ("icmp", "udp")}, address)
    finally:
        scene.line.r.ip(f"route replace {back}\n")
        scene.line.b.run("ip", f"-{version_of(address)}", "route", "flush", "cache")
    assert isinstance(icmp.outcomes[0], Reached), icmp
    assert udp.outcomes[0] == TimedOut(SILENCE_MS * MS)
    assert {answer.outcomes[0].kind for answer in small.values()} == {OutcomeKind.REACHED}


@BOTH
def test_a_translator_without_memory_hinders_nobody(scene: Scene, address: str) -> None:
    family, virtual = family_of(address), VIRTUAL[address]
    early = "add rule inet test early"
    scene.line.r.nft(
        "add chain inet test early { type filter hook prerouting priority -300; }",
        f"{early} {family} daddr {virtual} {family} daddr set {address} notrack",
        f"{early} {family} saddr {address} {family} saddr set {virtual} notrack",
    )
    told = scene.ask({**KINDS, **WALKS}, virtual)
    reached = {name for name, answer in told.items() if isinstance(answer.outcomes[0], Reached)}
    assert reached == {*KINDS, *WALKS}, told
