"""Traces over two real ways.

a (prod/w1/pod) ── r ─┬─ x ─┬─ s ── b (dev/w1/pod)
                      └─ y ─┘
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from netprobe.model.names import AgentId
from netprobe.model.outcome import Reached, Rejected, TimedOut
from netprobe.wire.messages import Answer
from tests.lab import agents
from tests.lab.agents import MS, PORT, make_check, make_probe
from tests.lab.asking import ask_once
from tests.lab.namespaces import Host, Namespaces, need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

A, B = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
B4, B6 = "10.6.0.2", "fd00:6::2"
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
FAMILY = {B4: "ip", B6: "ip6"}
R1 = {B4: "10.1.0.2", B6: "fd00:1::2"}
WAYS = {B4: ("10.2.0.2", "10.3.0.2"), B6: ("fd00:2::2", "fd00:3::2")}
S3 = {B4: ("10.4.0.2",), B6: ("fd00:4::2", "fd00:5::2")}
"""Over IPv4 a router speaks from its way back to us, over IPv6 from where the packet came in."""
EXPIRED = {B4: "icmp type time-exceeded", B6: "icmpv6 type time-exceeded"}


@dataclass(slots=True)
class Scene:
    a: Host
    s: Host
    b: Host

    def ask(self, address: str, *, port: int = PORT, seconds: int = 15, **options: str) -> Answer:
        asked = tuple(sorted({"patience": "200", **options}.items()))
        probe = replace(make_probe("trace", port=port), timeout_ns=seconds * 1_000 * MS, options=asked)
        return ask_once(self.a, make_check(A, address, probe, name=str(B), count=1))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Namespaces() as made:
        a, r, x, y, s, b = (made.host(name) for name in "arxysb")
        for number, (one, other) in enumerate(((a, r), (r, x), (r, y), (x, s), (y, s), (s, b)), start=1):
            made.link(one, other, f"10.{number}.0.0/24", f"fd00:{number}::/64")
        for router in (r, x, y, s):
            router.forward()
        for family in ("ipv4", "ipv6"):
            r.run("sysctl", "-qw", f"net.{family}.fib_multipath_hash_policy=1")
        r.ip("route add 10.6.0.0/24 nexthop via 10.2.0.2 nexthop via 10.3.0.2\n"
             "route add fd00:6::/64 nexthop via fd00:2::2 nexthop via fd00:3::2\n")  # fmt: skip
        for router, link in ((x, 2), (y, 3)):
            router.ip(f"route add 10.1.0.0/24 via 10.{link}.0.1\nroute add fd00:1::/64 via fd00:{link}::1\n")
            router.default_via(s)
        s.ip("route add 10.1.0.0/24 via 10.4.0.1\nroute add fd00:1::/64 via fd00:4::1\n")
        a.default_via(r)
        b.default_via(s)
        a.settle(B4, B6)
        with agents.running(b, B, folder=tmp_path_factory.mktemp("trace")):
            yield Scene(a, s, b)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    yield network
    for host in (network.s, network.b):
        host.nft()


@BOTH
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_both_ways_are_found_hop_by_hop(scene: Scene, address: str, transport: str) -> None:
    # Twenty flows all take one way once in 500,000 times. With patience for longer than the whole trace may
    # take, an answer that is not noticed when it comes would end it.
    answer = scene.ask(address, transport=transport, flows="20", patience="10000", seconds=9)
    facts = dict(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], Reached), answer.details
    assert facts["hop 1"].startswith(R1[address])
    assert facts["hop 2"].startswith(", ".join(WAYS[address]))
    assert facts["hop 3"].startswith(S3[address])
    assert facts["hop 4"].startswith("target answers")
    # A veth hands on the hash of the sending TCP socket, and Linux routers spread by it instead of by the
    # ports; each packet has its own socket, so here a TCP flow may change its way between hops.
    assert facts["ways"] == "2 ways for different flows" or transport == "tcp"
    assert answer.details[0].answered_by == (str(B) if transport == "udp" else "")


@BOTH
def test_a_router_that_limits_its_icmp_is_not_called_lossy(scene: Scene, address: str) -> None:
    scene.s.nft(f"add rule inet test output {EXPIRED[address]} limit rate over 1/hour burst 2 packets drop")
    answer = scene.ask(address)
    assert isinstance(answer.outcomes[0], Reached)
    assert "it limits its ICMP, packets pass" in dict(answer.details[0].facts)["hop 3"]


@BOTH
def test_a_silent_router_is_a_hop_without_a_name(scene: Scene, address: str) -> None:
    scene.s.nft(f"add rule inet test output {EXPIRED[address]} drop")
    answer = scene.ask(address)
    assert isinstance(answer.outcomes[0], Reached)
    assert dict(answer.details[0].facts)["hop 3"] == "* (says nothing)"


@BOTH
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_silent_drop_is_behind_the_last_hop_that_spoke(scene: Scene, address: str, transport: str) -> None:
    scene.s.nft(f"add rule inet test forward {FAMILY[address]} daddr {address} drop")
    answer = scene.ask(address, transport=transport, patience="100", flows="20")
    assert isinstance(answer.outcomes[0], TimedOut)
    assert answer.details[0].words == f"silence behind hop 3 ({', '.join(S3[address])})"


@BOTH
def test_a_rejection_names_its_sender(scene: Scene, address: str) -> None:
    kind, code = ("icmp", (3, 13)) if address == B4 else ("icmpv6", (1, 1))
    rule = f"{FAMILY[address]} daddr {address} reject with {kind} type admin-prohibited"
    scene.s.nft(f"add rule inet test forward {rule}")
    (outcome,) = scene.ask(address).outcomes
    assert isinstance(outcome, Rejected)
    assert outcome.sender in S3[address]
    assert (outcome.icmp_type, outcome.icmp_code) == code


@BOTH
def test_a_closed_port_still_ends_at_the_target(scene: Scene, address: str) -> None:
    for transport in ("udp", "tcp"):
        answer = scene.ask(address, port=7, transport=transport)
        assert isinstance(answer.outcomes[0], Reached)
        assert dict(answer.details[0].facts)["hop 4"].startswith("target refuses the port")


@BOTH
def test_source_nat_on_the_way_is_seen_by_the_target(scene: Scene, address: str) -> None:
    scene.s.nft("add rule inet test postrouting oifname to-b masquerade")
    source = scene.ask(address).details[0].observed_source
    assert source == {B4: "10.6.0.1", B6: "fd00:6::1"}[address]
