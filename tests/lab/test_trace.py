"""Traces over two real ways.

a (prod/w1/pod) ── r ─┬─ x ─┬─ s ── b (dev/w1/pod)
                      └─ y ─┘
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from netprobe.model.outcome import Reached, Rejected, TimedOut
from netprobe.probes.mda import count_flows_needed
from netprobe.probes.routing_loop import read_loop
from netprobe.wire.messages import CheckAnswer
from tests.facts import texts
from tests.lab import agents
from tests.lab.agent_asker import Asker
from tests.lab.agents import MS, PORT, make_check, make_probe
from tests.lab.ecmp_network import (
    B4,
    B6,
    BORROWED,
    A,
    B,
    many_ways,
    two_ways,
)
from tests.lab.namespaces import Host, need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
FAMILY = {B4: "ip", B6: "ip6"}
R1 = {B4: "10.1.0.2", B6: "fd00:1::2"}
WAYS = {B4: ("10.2.0.2", "10.3.0.2"), B6: ("fd00:2::2", "fd00:3::2")}
S3 = {B4: ("10.4.0.2",), B6: ("fd00:4::2", "fd00:5::2")}
"""Over IPv4 a router speaks from its way back to us, over IPv6 from where the packet came in."""
VIRTUAL = {B4: "10.9.0.9", B6: "fd00:9::9"}
"""What a translator with memory passes on to b."""
OWN = {B4: "10.1.0.1", B6: "fd00:1::1"}
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp", "icmp"])
EXPIRED = {B4: "icmp type time-exceeded", B6: "icmpv6 type time-exceeded"}


@dataclass(slots=True)
class Scene:
    a: Host
    r: Host
    s: Host
    b: Host
    asker: Asker

    def ask(self, address: str, *, port: int = PORT, seconds: int = 15, **options: str) -> CheckAnswer:
        asked = tuple(sorted({"patience": "200", **options}.items()))
        port = 0 if options.get("transport") == "icmp" else port
        probe = replace(make_probe("trace", port=port), timeout_ns=seconds * 1_000 * MS, options=asked)
        return self.asker.ask(make_check(A, address, probe, name=str(B), count=1))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with (
        two_ways() as made,
        agents.running(made.b, B, folder=tmp_path_factory.mktemp("trace")),
        Asker(made.a) as asker,
    ):
        yield Scene(made.a, made.r, made.s, made.b, asker)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    yield network
    for host in (network.r, network.s, network.b):
        host.nft()


@BOTH
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_both_ways_are_found_hop_by_hop(scene: Scene, address: str, transport: str) -> None:
    # Twenty flows all take one way once in 500,000 times. With patience for longer than the whole trace may
    # take, an answer that is not noticed when it comes would end it.
    answer = scene.ask(address, transport=transport, flows="20", patience="10000", seconds=9)
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer.details
    assert str(facts["hop 1"]).startswith(R1[address])
    assert str(facts["hop 2"]).startswith(", ".join(WAYS[address]))
    assert str(facts["hop 3"]).startswith(S3[address])
    assert str(facts["hop 4"]).startswith("target answers")
    # A veth hands on the hash of the sending TCP socket, and Linux routers spread by it instead of by the
    # ports; each packet has its own socket, so here a TCP flow may change its way between hops.
    assert facts["ways"] == "2 ways for different flows" or transport == "tcp"
    assert answer.details[0].answered_by == (str(B) if transport == "udp" else "")


def count_flows(router: Host) -> int:
    listed = json.loads(router.run("nft", "-j", "list", "set", "inet", "count", "flows"))
    (found,) = (item["set"] for item in listed["nftables"] if "set" in item)
    return len(found["elem"])


def test_the_stopping_rule_is_kept_over_ten_real_next_hops(tmp_path: Path) -> None:
    """Which of them the router's hash shows is chance; how many flows are sent for what was seen is not."""
    with many_ways(10) as made, agents.running(made.b, B, folder=tmp_path), Asker(made.a) as asker:
        made.r.run("nft", "-f", "-", stdin=(
            "add table inet count\n"
            "add set inet count flows { type inet_service; flags dynamic; size 1024; }\n"
            "add chain inet count early { type filter hook prerouting priority -300; }\n"
            f"add rule inet count early ip ttl 2 udp dport {PORT} add @flows {{ udp sport }}\n"
        ))  # fmt: skip
        answer = Scene(made.a, made.r, made.r, made.b, asker).ask(B4)
        flows = count_flows(made.r)
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer
    named = facts["hop 2"].replace(",", " ").split()
    seen = [router for router in made.routers if router in named]
    assert len(seen) > 5, facts
    assert flows == count_flows_needed(len(seen)), facts
    assert "unproven" not in facts


def spread_by_checksum(router: Host) -> None:
    """Spread echoes by their checksum, as many routers do; Linux spreads ICMP by its addresses alone."""
    for family, address, icmp in (("ip", B4, "icmp"), ("ip6", B6, "icmpv6")):
        router.run("nft", "-f", "-", stdin=(
            "add table inet test\n"
            "add chain inet test early { type filter hook prerouting priority mangle; }\n"
            f"add rule inet test early {family} daddr {address} {icmp} type echo-request"
            f" meta mark set jhash {icmp} checksum mod 2 offset 1\n"
        ))  # fmt: skip


@BOTH
def test_an_icmp_flow_keeps_its_way_where_checksums_choose_it(scene: Scene, address: str) -> None:
    spread_by_checksum(scene.r)
    answer = scene.ask(address, transport="icmp", flows="20")
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer.details
    assert str(facts["hop 2"]).startswith(", ".join(WAYS[address])), facts
    assert str(facts["hop 4"]).startswith("target answers"), facts
    # Over IPv6 hop 3 tells which way the packet came: a flow that strays would make a third way.
    assert facts["ways"] == "2 ways for different flows", facts


@BOTH
def test_without_net_raw_an_icmp_trace_goes_by_ping_sockets(scene: Scene, address: str) -> None:
    scene.a.set_sysctls({"ipv4/ping_group_range": "0 0"})
    with Asker(scene.a, within=("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-all")) as asker:
        answer = replace(scene, asker=asker).ask(address, transport="icmp")
        scene.s.nft(f"add rule inet test forward {FAMILY[address]} daddr {address} drop")
        lost = replace(scene, asker=asker).ask(address, transport="icmp", patience="100")
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer
    assert str(facts["hop 1"]).startswith(R1[address]), facts
    assert str(facts["hop 3"]).startswith(S3[address]), facts
    assert str(facts["hop 4"]).startswith("target answers"), facts
    assert isinstance(lost.outcomes[0], TimedOut)
    assert str(lost.details[0].words).startswith("silence behind hop 3 ("), lost


@BOTH
@TRANSPORTS
def test_a_router_that_limits_its_icmp_is_not_called_lossy(
    scene: Scene, address: str, transport: str
) -> None:
    """Linux's own limit: six errors for each receiver, then one every 300 ms."""
    limit = ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit")
    scene.s.set_sysctls(dict.fromkeys(limit, "300"))
    time.sleep(6 * 0.3)  # the allowance fills while nothing is sent; the test before may have emptied it
    try:
        answer = scene.ask(address, transport=transport, flows="20", patience="100")
    finally:
        scene.s.set_sysctls(dict.fromkeys(limit, "0"))
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer
    assert "it limits its ICMP, packets pass" in str(facts["hop 3"]), facts
    assert "limits" not in str(facts["hop 4"]), facts


@BOTH
@TRANSPORTS
def test_a_silent_router_is_a_hop_without_a_name(scene: Scene, address: str, transport: str) -> None:
    scene.s.nft(f"add rule inet test output {EXPIRED[address]} drop")
    answer = scene.ask(address, transport=transport)
    assert isinstance(answer.outcomes[0], Reached)
    assert texts(answer.details[0].facts)["hop 3"] == "* (says nothing)"


@BOTH
@TRANSPORTS
def test_a_silent_drop_is_behind_the_last_hop_that_spoke(scene: Scene, address: str, transport: str) -> None:
    scene.s.nft(f"add rule inet test forward {FAMILY[address]} daddr {address} drop")
    answer = scene.ask(address, transport=transport, patience="100", flows="20")
    assert isinstance(answer.outcomes[0], TimedOut)
    # Linux sends all echoes of two addresses one way; which one, its hash decides again at every boot.
    spoke = S3[address] if transport == "icmp" else (", ".join(S3[address]),)
    assert str(answer.details[0].words) in {f"silence behind hop 3 ({one})" for one in spoke}


@BOTH
@TRANSPORTS
def test_a_loop_is_named_by_its_two_routers(scene: Scene, address: str, transport: str) -> None:
    """s sends what is for b back to x, which knows no other way than s."""
    towards_x = {B4: "10.4.0.1", B6: "fd00:4::1"}[address]
    scene.s.ip(f"route add {address} via {towards_x}\n")
    try:
        answer = scene.ask(address, transport=transport)
    finally:
        scene.s.ip(f"route del {address} via {towards_x}\n")
    loop = read_loop(answer.details[0].values)
    assert loop is not None, answer
    assert len(loop.hops) == 2, loop
    assert str(answer.details[0].words).startswith("routing loop between "), answer
    assert isinstance(answer.outcomes[0], Rejected), answer
    expired = (11, 0) if address == B4 else (3, 0)
    assert (answer.outcomes[0].icmp_type, answer.outcomes[0].icmp_code) == expired
    assert "silence" not in str(answer.details[0]), answer


@BOTH
@TRANSPORTS
def test_a_rejection_names_its_sender(scene: Scene, address: str, transport: str) -> None:
    kind, code = ("icmp", (3, 13)) if address == B4 else ("icmpv6", (1, 1))
    rule = f"{FAMILY[address]} daddr {address} reject with {kind} type admin-prohibited"
    scene.s.nft(f"add rule inet test forward {rule}")
    (outcome,) = scene.ask(address, transport=transport).outcomes
    assert isinstance(outcome, Rejected)
    assert outcome.sender in S3[address]
    assert (outcome.icmp_type, outcome.icmp_code) == code


@BOTH
def test_a_closed_port_still_ends_at_the_target(scene: Scene, address: str) -> None:
    for transport in ("udp", "tcp"):
        answer = scene.ask(address, port=7, transport=transport)
        assert isinstance(answer.outcomes[0], Reached)
        assert str(texts(answer.details[0].facts)["hop 4"]).startswith("target refuses the port")


@BOTH
def test_source_nat_on_the_way_is_seen_by_the_target(scene: Scene, address: str) -> None:
    scene.s.nft("add rule inet test postrouting oifname to-b masquerade")
    answer = scene.ask(address)
    source = {B4: "10.6.0.1", B6: "fd00:6::1"}[address]
    facts = texts(answer.details[0].facts)
    assert answer.details[0].observed_source == source
    assert f"; behind NAT (source {source}" in str(facts["hop 4"]), facts
    named = re.match(r"addresses are rewritten between hop 3 \((.+)\)", str(facts["nat"]))
    assert named, facts
    assert set(named[1].split(", ")) <= set(S3[address]), "flows may all take one of two equal paths"
    assert str(facts["nat"]).endswith(" and the target, or by one of the two")


@BOTH
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_source_nat_shows_in_the_checksum_of_the_quote(scene: Scene, address: str, transport: str) -> None:
    """Linux puts the addresses of a quote back, and its checksum wrong."""
    plain = scene.ask(address, transport=transport).details[0].facts
    assert "NAT" not in str(plain), plain
    family = FAMILY[address]
    scene.r.nft(f"add rule inet test postrouting {family} daddr {address} snat {family} to {R1[address]}")
    facts = texts(scene.ask(address, transport=transport).details[0].facts)
    assert "NAT" not in str(facts["hop 1"]), facts
    for hop in ("hop 2", "hop 3"):
        assert "; behind NAT (checksum)" in str(facts[hop]), facts
    assert str(facts["nat"]).startswith(
        f"addresses are rewritten between hop 1 ({R1[address]}) and hop 2 ("
    ), facts


@BOTH
@TRANSPORTS
def test_destination_nat_shows_as_hops_that_speak_in_the_targets_name(
    scene: Scene, address: str, transport: str
) -> None:
    virtual = VIRTUAL[address]
    family = FAMILY[address]
    scene.r.nft(f"add rule inet test prerouting {family} daddr {virtual} dnat {family} to {address}")
    answer = scene.ask(virtual, transport=transport)
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer
    for hop in ("hop 1", "hop 2", "hop 3"):
        assert str(facts[hop]).startswith(virtual), facts
        assert "it speaks in the target's name" in str(facts[hop]), facts
    assert str(facts["nat"]).startswith("addresses are rewritten between this host and hop 1"), facts


@BOTH
@TRANSPORTS
def test_a_translator_without_memory_shows_in_the_quoted_source(
    scene: Scene, address: str, transport: str
) -> None:
    """It rewrites each packet and looks into no quote (RFC 6296 does so for IPv6)."""
    family, borrowed = FAMILY[address], BORROWED[address]
    early = "add rule inet test early"
    scene.r.nft(
        "add chain inet test early { type filter hook prerouting priority -300; }",
        f"{early} iifname to-a {family} daddr {address} {family} saddr set {borrowed} notrack",
        f"{early} {family} daddr {borrowed} {family} daddr set {OWN[address]} notrack",
    )
    answer = scene.ask(address, transport=transport)
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer
    assert facts["hop 1"] == "* (says nothing)", "it answers the borrowed address itself"
    for hop in ("hop 2", "hop 3"):
        assert f"source {borrowed}" in facts[hop], facts
