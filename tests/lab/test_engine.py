"""The engine on real packets: a router between an asker and its peers, and every way it can go wrong.

a (prod/w1/pod) ── r ── b (dev/w1/pod)
                   └─── c (test/w1/pod)
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from netprobe.model.check import Check, TargetKind
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.probes.registry import KINDS
from tests.lab import agents
from tests.lab.agents import Run, Running, make_check, make_probe
from tests.lab.namespaces import Host, Namespaces, need_namespaces
from tests.patience import wait_until

pytestmark = [pytest.mark.lab, need_namespaces()]

A, B, C = (AgentId.parse(f"{cluster}/w1/pod") for cluster in ("prod", "dev", "test"))
A4, R4, B4, C4 = "10.1.0.1", "10.1.0.2", "10.2.0.2", "10.3.0.2"
A6, R6, B6, C6 = "fd00:1::1", "fd00:1::2", "fd00:2::2", "fd00:3::2"
ACQUAINTED = {A: (A4, A6), B: (B4, B6), C: (C4, C6)}
SERVICE = "dev/netprobe/echo"
REACHED, TIMED_OUT, REFUSED = OutcomeKind.REACHED, OutcomeKind.TIMED_OUT, OutcomeKind.REFUSED
REJECTED, TOO_BIG, WRONG_PEER = OutcomeKind.REJECTED, OutcomeKind.TOO_BIG, OutcomeKind.WRONG_PEER
NOT_MEASURED = OutcomeKind.NOT_MEASURED
WITHOUT_NET_RAW = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-all")


@dataclass(slots=True)
class Scene:
    """The network, its agents and where they write."""

    a: Host
    r: Host
    b: Host
    peer: Running
    folder: Path

    def ask(self, *checks: Check, intervals: int = 2) -> Run:
        return agents.ask(
            self.a,
            A,
            checks,
            folder=self.folder,
            intervals=intervals,
            acquainted=ACQUAINTED,
            services=[SERVICE],
        )


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("engine")
    with Namespaces() as made:
        a, r, b, c = (made.host(name) for name in "arbc")
        made.link(a, r, "10.1.0.0/24", "fd00:1::/64")
        made.link(r, b, "10.2.0.0/24", "fd00:2::/64")
        made.link(r, c, "10.3.0.0/24", "fd00:3::/64")
        r.forward()
        for host in (a, b, c):
            host.default_via(r)
        a.settle(B4, B6, C4, C6)
        with (
            agents.running(b, B, folder=folder, acquainted=ACQUAINTED, services=[SERVICE]) as peer,
            agents.running(c, C, folder=folder, acquainted=ACQUAINTED),
        ):
            yield Scene(a, r, b, peer, folder)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    """The network without any fault."""
    yield network
    for host in (network.a, network.r, network.b):
        host.nft()


def to_b(kind: str, address: str = B4, **parameters: object) -> Check:
    return make_check(A, address, make_probe(kind, **parameters), name=str(B))  # type: ignore[arg-type]


EVERYTHING = (
    to_b("icmp"), to_b("icmp", B6), to_b("icmp", size=1_400), to_b("icmp", B6, size=1_400),
    to_b("udp"), to_b("udp", B6), to_b("udp", size=1_400), to_b("udp", B6, size=1_400),
    to_b("tcp"), to_b("tcp", B6), to_b("http"), to_b("http", B6),
)  # fmt: skip


def test_a_sound_path_is_reached_by_every_kind(scene: Scene) -> None:
    run = scene.ask(*EVERYTHING)
    for check in EVERYTHING:
        window = run.window(check)
        assert dict(window.outcomes) == {REACHED: 3}, check.probe
        assert window.rtt.total == 3
        told = {"udp": (A6 if ":" in check.target.address else A4, str(B)), "http": ("", str(B))}
        assert (window.observed_source, window.answered_by) == told.get(check.probe.kind, ("", ""))


@pytest.mark.parametrize("address", [B4, B6])
def test_a_closed_port_refuses(scene: Scene, address: str) -> None:
    checks = [to_b(kind, address, port=7) for kind in ("udp", "tcp", "http")]
    run = scene.ask(*checks)
    assert [run.outcomes(check) for check in checks] == [{REFUSED: 3}] * 3


def test_a_silent_drop_times_out_and_nobody_heard(scene: Scene) -> None:
    scene.r.nft(
        "add rule inet test forward ip daddr 10.2.0.2 drop",
        "add rule inet test forward ip6 daddr fd00:2::2 drop",
    )
    run = scene.ask(*EVERYTHING)
    assert [run.outcomes(check) for check in EVERYTHING] == [{TIMED_OUT: 3}] * len(EVERYTHING)
    assert scene.peer.heard(EVERYTHING[4], since_ns=run.measured[0].start_ns) == 0


def test_a_dropped_return_path_shows_in_what_the_peer_heard(scene: Scene) -> None:
    scene.r.nft("add rule inet test forward ip saddr 10.2.0.2 drop")
    check = to_b("udp")
    run = scene.ask(check, intervals=3)
    assert run.outcomes(check) == {TIMED_OUT: 3}
    wanted = sum(window.sent for window in run.windows(check)[:2])
    wait_until(
        "the peer has heard it", lambda: scene.peer.heard(check, since_ns=run.measured[0].start_ns) >= wanted
    )


@pytest.mark.parametrize(
    ("rule", "out", "back"),
    [
        pytest.param("ip daddr 10.2.0.2 udp length > 0 numgen inc mod 3 == 1 drop", True, False, id="out"),
        pytest.param("ip saddr 10.2.0.2 udp length > 0 numgen inc mod 3 == 1 drop", False, True, id="back"),
    ],
)
def test_losses_are_told_apart_by_direction(scene: Scene, rule: str, out: bool, back: bool) -> None:
    scene.r.nft(f"add rule inet test forward {rule}")
    check = make_check(A, B4, make_probe("udp"), name=str(B), count=12)
    windows = scene.ask(check, intervals=3).windows(check)
    lost = sum(window.count(TIMED_OUT) for window in windows)
    assert lost == 12
    assert sum(window.lost_out for window in windows) in (range(9, 13) if out else range(1))
    assert sum(window.lost_back for window in windows) in (range(9, 13) if back else range(1))


@pytest.mark.parametrize(
    ("reject", "code"),
    [
        pytest.param("icmp type admin-prohibited", (3, 13), id="v4 admin-prohibited"),
        pytest.param("icmp type host-unreachable", (3, 1), id="v4 host-unreachable"),
        pytest.param("icmp type net-unreachable", (3, 0), id="v4 net-unreachable"),
        pytest.param("icmp type prot-unreachable", (3, 2), id="v4 prot-unreachable"),
        pytest.param("icmp type host-prohibited", (3, 10), id="v4 host-prohibited"),
        pytest.param("icmp type net-prohibited", (3, 9), id="v4 net-prohibited"),
        pytest.param("icmp type port-unreachable", (3, 3), id="v4 port-unreachable by a router"),
        pytest.param("icmpv6 type admin-prohibited", (1, 1), id="v6 admin-prohibited"),
        pytest.param("icmpv6 type no-route", (1, 0), id="v6 no-route"),
        pytest.param("icmpv6 type addr-unreachable", (1, 3), id="v6 addr-unreachable"),
        pytest.param("icmpv6 type port-unreachable", (1, 4), id="v6 port-unreachable by a router"),
        pytest.param("icmpv6 type policy-fail", (1, 5), id="v6 policy-fail"),
        pytest.param("icmpv6 type reject-route", (1, 6), id="v6 reject-route"),
    ],
)
def test_a_rejection_names_its_sender_and_code(scene: Scene, reject: str, code: tuple[int, int]) -> None:
    family, address, sender = ("ip6", B6, R6) if "icmpv6" in reject else ("ip", B4, R4)
    scene.r.nft(f"add rule inet test forward {family} daddr {address} reject with {reject}")
    checks = [
        make_check(A, address, make_probe(kind), name=str(B), count=1) for kind in ("udp", "tcp", "icmp")
    ]
    run = scene.ask(*checks)
    for check in checks:
        window = run.windows(check)[0]
        assert dict(window.outcomes) == {REJECTED: 1}, (check.probe.kind, window)
        assert str(window.detail) == f"rejected by {sender} ({code[0]}/{code[1]})"


def test_a_tcp_reset_by_a_firewall_refuses(scene: Scene) -> None:
    scene.r.nft("add rule inet test forward tcp dport 9771 reject with tcp reset")
    checks = [to_b("tcp"), to_b("tcp", B6), to_b("udp")]
    run = scene.ask(*checks)
    assert [run.outcomes(check) for check in checks] == [{REFUSED: 3}, {REFUSED: 3}, {REACHED: 3}]


@pytest.mark.parametrize(("address", "router"), [(B4, R4), (B6, R6)])
def test_a_router_that_tells_the_mtu_is_no_black_hole(scene: Scene, address: str, router: str) -> None:
    scene.r.ip("link set to-b mtu 1300\n")
    try:
        checks = [to_b("udp", address, size=1_400), to_b("udp", address), to_b("icmp", address, size=1_400)]
        run = scene.ask(*checks)
    finally:
        scene.r.ip("link set to-b mtu 1500\n")
    assert [run.outcomes(check) for check in checks] == [{TOO_BIG: 3}, {REACHED: 3}, {TOO_BIG: 3}]
    assert str(run.window(checks[0]).detail) == f"too big: {router} passes 1300 bytes"


@pytest.mark.parametrize("direction", ["daddr", "saddr"])
def test_large_packets_lost_one_way_leave_small_ones_alone(scene: Scene, direction: str) -> None:
    scene.r.nft(f"add rule inet test forward ip {direction} 10.2.0.2 meta length > 1000 drop")
    small, large = to_b("udp"), to_b("udp", size=1_400)
    run = scene.ask(small, large, intervals=3)
    assert (run.outcomes(small), run.outcomes(large)) == ({REACHED: 3}, {TIMED_OUT: 3})
    since_ns = run.measured[0].start_ns
    if direction == "daddr":
        assert scene.peer.heard(large, since_ns=since_ns) == 0
    else:
        wait_until("the peer has heard it", lambda: scene.peer.heard(large, since_ns=since_ns) >= 6)


def test_a_stolen_address_shows_who_answered(scene: Scene) -> None:
    scene.r.nft(
        "add rule inet test prerouting ip daddr 10.2.0.2 dnat to 10.3.0.2",
        "add rule inet test prerouting ip6 daddr fd00:2::2 dnat to fd00:3::2",
    )
    checks = [to_b("udp"), to_b("udp", B6), to_b("http"), to_b("tcp")]
    run = scene.ask(*checks)
    assert [run.outcomes(check) for check in checks] == [{WRONG_PEER: 3}] * 3 + [{REACHED: 3}]
    assert run.window(checks[0]).answered_by == str(C)
    assert str(run.window(checks[2]).detail) == f"{C} answered instead of {B}"


def test_an_answer_from_another_address_is_evidence_and_does_not_reach(scene: Scene) -> None:
    """Translated on its way back by a router without memory, which no program would take for an answer."""
    scene.r.nft()
    scene.r.run("nft", "add chain inet test raw { type filter hook forward priority 10; }")
    scene.r.run("nft", f"add rule inet test raw ip saddr {B4} udp sport 9771 ip saddr set {C4}")
    checks = [to_b("udp"), to_b("udp", B6)]
    run = scene.ask(*checks)
    assert [run.outcomes(check) for check in checks] == [{WRONG_PEER: 3}, {REACHED: 3}]
    assert run.window(checks[0]).answered_by == f"{B} at {C4}"


def test_source_nat_is_seen_by_the_peer(scene: Scene) -> None:
    scene.r.nft("add rule inet test postrouting oifname to-b masquerade")
    checks = [to_b("udp"), to_b("udp", B6)]
    run = scene.ask(*checks)
    assert [run.window(check).observed_source for check in checks] == ["10.2.0.1", "fd00:2::1"]


def test_a_service_address_reaches_any_agent_of_its_cluster(scene: Scene) -> None:
    scene.a.nft()
    scene.a.run("nft", "add chain inet test nat { type nat hook output priority -100; }")
    scene.a.run("nft", f"add rule inet test nat ip daddr 10.96.0.1 meta l4proto {{ tcp, udp }} dnat to {B4}")
    checks = [
        make_check(A, "10.96.0.1", make_probe(kind), name=SERVICE, kind=TargetKind.SERVICE)
        for kind in ("udp", "http", "tcp")
    ]
    run = scene.ask(*checks)
    assert [run.outcomes(check) for check in checks] == [{REACHED: 3}] * 3
    scene.a.run("nft", "add rule inet test output ip daddr 10.96.0.2 meta l4proto udp reject")
    scene.a.run("nft", "add rule inet test output ip daddr 10.96.0.2 meta l4proto tcp reject with tcp reset")
    empty = [
        make_check(A, "10.96.0.2", make_probe(kind), name="dev/netprobe/none", kind=TargetKind.SERVICE)
        for kind in ("udp", "http", "tcp")
    ]
    run = scene.ask(*empty)
    assert [run.outcomes(check) for check in empty] == [{REFUSED: 3}] * 3


def test_our_own_host_is_told_apart_from_the_network(scene: Scene) -> None:
    scene.a.nft("add rule inet test output ip daddr 10.2.0.2 udp dport 9771 drop")
    scene.a.ip("route add unreachable 10.9.0.1\nroute add prohibit 10.9.0.2\nroute add blackhole 10.9.0.3\n")
    filtered = to_b("udp")
    too_large = to_b("udp", B6, size=1_600)
    lost = [make_check(A, f"10.9.0.{last}", make_probe("udp"), name=str(B)) for last in (1, 2)]
    lost_tcp = [make_check(A, f"10.9.0.{last}", make_probe("tcp"), name=str(B)) for last in (1, 2)]
    run = scene.ask(filtered, too_large, *lost, *lost_tcp)
    scene.a.ip("route del unreachable 10.9.0.1\nroute del prohibit 10.9.0.2\nroute del blackhole 10.9.0.3\n")
    assert run.outcomes(filtered) == {TIMED_OUT: 3}
    assert run.window(filtered).lost_out == 3, "our own packet filter is certain to have it"
    assert run.outcomes(too_large) == {NOT_MEASURED: 3}
    assert [run.outcomes(check) for check in (*lost, *lost_tcp)] == [{REJECTED: 3}] * 4


def test_a_stranger_is_neither_answered_nor_believed(scene: Scene, tmp_path: Path) -> None:
    check = to_b("udp")
    plan = agents.write_plan(tmp_path / "stranger.json", A, [check], key=b"another key".ljust(32))
    run = agents.ask_plan(scene.a, plan)
    assert run.outcomes(check) == {TIMED_OUT: 3}


def test_a_frozen_peer_is_silent_where_its_process_would_speak(scene: Scene) -> None:
    checks = [to_b("icmp"), to_b("tcp"), to_b("udp"), to_b("http")]
    os.kill(scene.peer.pid, signal.SIGSTOP)
    try:
        run = scene.ask(*checks)
    finally:
        os.kill(scene.peer.pid, signal.SIGCONT)
    assert [run.outcomes(check) for check in checks] == [{REACHED: 3}] * 2 + [{TIMED_OUT: 3}] * 2
    assert str(run.window(checks[3]).detail) == "connected, then silence"


def test_an_agent_that_stood_still_never_blames_the_network(scene: Scene, tmp_path: Path) -> None:
    checks = [
        make_check(A, B4, make_probe(kind), name=str(B), count=6) for kind in ("udp", "tcp", "http", "icmp")
    ]
    with agents.running(scene.a, A, checks, folder=tmp_path) as asker:
        wait_until("it has measured", lambda: len(asker.read().measured) >= 2)
        for _ in range(3):
            os.kill(asker.pid, signal.SIGSTOP)
            time.sleep(0.6)
            os.kill(asker.pid, signal.SIGCONT)
            time.sleep(0.45)
        seen = len(asker.read().measured)
        wait_until("it has measured", lambda: len(asker.read().measured) >= seen + 2)
        run = asker.read()
    windows = [window for check in checks for window in run.windows(check)]
    # With too much else to do the peer may stand still as well, and says so: then it was silent indeed.
    peer_stood = {
        start_ns
        for measured in scene.peer.read().measured
        if measured.loop_lag_ns >= agents.TIMEOUT_NS // 2
        for start_ns in (measured.start_ns - agents.INTERVAL_NS, measured.start_ns)
    }
    kinds = {
        kind
        for window in windows
        for kind, _ in window.outcomes
        if kind is not TIMED_OUT or window.start_ns not in peer_stood
    }
    assert kinds == {REACHED, NOT_MEASURED}
    assert max(measured.loop_lag_ns for measured in run.measured) >= 400 * agents.MS


def test_without_net_raw_ping_sockets_do(scene: Scene, tmp_path: Path) -> None:
    scene.a.set_sysctls({"ipv4/ping_group_range": "0 0"})
    checks = [to_b("icmp"), to_b("icmp", B6), to_b("icmp", size=1_400)]
    rejected = make_check(A, C4, make_probe("icmp"), name=str(C))
    scene.r.nft(f"add rule inet test forward ip daddr {C4} reject with icmp type admin-prohibited")
    plan = agents.write_plan(tmp_path / "plan.json", A, [*checks, rejected])
    run = agents.ask_plan(scene.a, plan, within=WITHOUT_NET_RAW)
    assert [run.outcomes(check) for check in checks] == [{REACHED: 3}] * 3
    assert str(run.windows(rejected)[0].detail) == f"rejected by {R4} (3/13)"


_TELL_CAPABILITIES = """
import asyncio
from netprobe.engine.engine import Engine
from netprobe.model.names import AgentId

async def main():
    async with Engine(AgentId.parse("prod/w1/pod"), boot="one", port=0) as engine:
        print(*engine.capabilities)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("privilege", "may_ping", "words"),
    [
        pytest.param((), False, ["icmp-raw", "syn-raw"], id="NET_RAW"),
        pytest.param(WITHOUT_NET_RAW, True, ["icmp-ping-socket", "connect"], id="ping sockets"),
        pytest.param(WITHOUT_NET_RAW, False, ["icmp-none", "connect"], id="neither"),
    ],
)
def test_an_agent_finds_out_and_announces_how_it_may_ask(
    privilege: tuple[str, ...], may_ping: bool, words: list[str]
) -> None:
    with Namespaces() as made:
        host = made.host("a")  # a fresh one lets no group ping
        if may_ping:
            host.set_sysctls({"ipv4/ping_group_range": "0 0"})
        said = host.run(*privilege, sys.executable, "-c", _TELL_CAPABILITIES).split()
    assert said == [*words, "pair-keys", *sorted(KINDS)]
