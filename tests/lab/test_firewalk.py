"""Firewalks through two real routers, TCP and UDP, IPv4 and IPv6.

a (prod/w1/pod) ── r ── s ── b (dev/w1/pod)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from netprobe.model.names import AgentId
from netprobe.model.outcome import Reached, Rejected, TimedOut
from netprobe.wire.messages import Answer
from tests.lab import agents
from tests.lab.agents import MS, make_check, make_probe
from tests.lab.asking import ask_once
from tests.lab.namespaces import Host, Namespaces, need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

A, B = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
B4, B6 = "10.3.0.2", "fd00:3::2"
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
FAMILY = {B4: "ip", B6: "ip6"}
HOP = {B4: ("10.1.0.2", "10.2.0.2"), B6: ("fd00:1::2", "fd00:2::2")}
EXPIRED = {B4: "icmp type time-exceeded", B6: "icmpv6 type time-exceeded"}


@dataclass(slots=True)
class Scene:
    a: Host
    r: Host
    s: Host
    b: Host

    def ask(self, address: str, transport: str) -> Answer:
        options = (("patience", "150"), ("transport", transport))
        probe = replace(make_probe("firewalk", port=80), timeout_ns=30_000 * MS, options=options)
        return ask_once(self.a, make_check(A, address, probe, name=str(B), count=1))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Namespaces() as made:
        a, r, s, b = (made.host(name) for name in "arsb")
        for number, (one, other) in enumerate(((a, r), (r, s), (s, b)), start=1):
            made.link(one, other, f"10.{number}.0.0/24", f"fd00:{number}::/64")
        for router in (r, s):
            router.forward()
        a.default_via(r)
        r.default_via(s)
        s.default_via(r)
        b.default_via(s)
        a.settle(B4, B6)
        with agents.running(b, B, folder=tmp_path_factory.mktemp("firewalk")):
            yield Scene(a, r, s, b)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    yield network
    for host in (network.a, network.r, network.s, network.b):
        host.nft()


@BOTH
@TRANSPORTS
def test_each_dropper_is_named(scene: Scene, address: str, transport: str) -> None:
    first, second = HOP[address]
    free = scene.ask(address, transport)
    assert isinstance(free.outcomes[0], Reached), free
    assert "the target refuses it" in dict(free.details[0].facts)["port 80"]
    drop = f"{FAMILY[address]} daddr {address} {transport} dport 80 drop"
    entering = f"between this host and hop 1 ({first}): by that hop as it comes in"
    own = "this host's own packet filter drops port 80"
    if transport == "tcp":  # a TCP socket is not told that its own SYN was dropped
        entering = entering.replace("by that", "by this host's own packet filter, or by that")
        own = entering
    for host, chain, words in (
        (scene.a, "output", own),
        (scene.r, "early", entering),
        (scene.r, "forward", f"between hop 1 ({first}) and hop 2 ({second}): by the first as it forwards"),
        (scene.s, "forward", f"between hop 2 ({second}) and the target: by hop 2 ({second}) as it forwards"),
        (scene.b, "input", f"between hop 2 ({second}) and the target: by hop 2 ({second}) as it forwards"),
    ):
        early = "add chain inet test early { type filter hook prerouting priority -300; }"
        host.nft(early, f"add rule inet test {chain} {drop}")
        answer = scene.ask(address, transport)
        host.nft()
        assert isinstance(answer.outcomes[0], TimedOut), (host.name, chain, answer)
        assert words in answer.details[0].words, (host.name, chain, answer)


@BOTH
@TRANSPORTS
def test_a_rejection_names_its_sender(scene: Scene, address: str, transport: str) -> None:
    kind, code = ("icmp", (3, 13)) if address == B4 else ("icmpv6", (1, 1))
    rule = f"{FAMILY[address]} daddr {address} {transport} dport 80 reject with {kind} type admin-prohibited"
    scene.s.nft(f"add rule inet test forward {rule}")
    assert scene.ask(address, transport).outcomes == (Rejected(HOP[address][1], *code),)


@BOTH
@TRANSPORTS
def test_routers_that_limit_or_say_nothing_are_no_droppers(
    scene: Scene, address: str, transport: str
) -> None:
    drop = f"add rule inet test input {FAMILY[address]} daddr {address} {transport} dport 80 drop"
    scene.b.nft(drop)
    limit = f"add rule inet test output {EXPIRED[address]}"
    scene.r.nft(f"{limit} limit rate over 1/hour burst 1 packets drop")
    limited = scene.ask(address, transport).details[0]
    assert f"between hop 2 ({HOP[address][1]}) and the target" in limited.words, limited
    assert "it limits its ICMP" in dict(limited.facts)["hop 1"]
    scene.r.nft()
    scene.s.nft(f"{limit} drop")
    silent = scene.ask(address, transport).details[0]
    assert f"between hop 1 ({HOP[address][0]}) and the target; which of them cannot be known" in silent.words


@BOTH
def test_a_dead_host_is_not_blamed_on_a_hop(scene: Scene, address: str) -> None:
    scene.b.nft(f"add rule inet test input {FAMILY[address]} daddr {address} drop")
    words = scene.ask(address, "tcp").details[0].words
    assert words.startswith(f"cannot be known: behind hop 2 ({HOP[address][1]}) the witness"), words
