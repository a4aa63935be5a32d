"""Firewalks through two real routers, TCP and UDP, IPv4 and IPv6.

a (prod/w1/pod) ── r ── s ── b (dev/w1/pod)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netprobe.model.outcome import Reached, Rejected, TimedOut
from netprobe.wire.messages import CheckAnswer
from tests.facts import texts
from tests.lab.agents import PORT
from tests.lab.linear_network import Line, family_of, line
from tests.lab.namespaces import need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

B4, B6 = "10.3.0.2", "fd00:3::2"
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
HOP = {B4: ("10.1.0.2", "10.2.0.2"), B6: ("fd00:1::2", "fd00:2::2")}
EXPIRED = {B4: "icmp type time-exceeded", B6: "icmpv6 type time-exceeded"}


def ask(scene: Line, address: str, transport: str) -> CheckAnswer:
    return scene.ask("firewalk", address, port=80, patience="150", transport=transport, control=str(PORT))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with line(tmp_path_factory.mktemp("firewalk"), routers=2) as made:
        yield made


@pytest.fixture
def scene(network: Line) -> Iterator[Line]:
    yield network
    network.clear()


@BOTH
@TRANSPORTS
def test_each_dropper_is_named(scene: Line, address: str, transport: str) -> None:
    first, second = HOP[address]
    free = ask(scene, address, transport)
    assert isinstance(free.outcomes[0], Reached), free
    assert "the target refuses it" in str(texts(free.details[0].facts)["port 80"])
    drop = f"{family_of(address)} daddr {address} {transport} dport 80 drop"
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
        answer = ask(scene, address, transport)
        host.nft()
        assert isinstance(answer.outcomes[0], TimedOut), (host.name, chain, answer)
        assert words in str(answer.details[0].words), (host.name, chain, answer)


@BOTH
@TRANSPORTS
def test_a_rejection_names_its_sender(scene: Line, address: str, transport: str) -> None:
    kind, code = ("icmp", (3, 13)) if address == B4 else ("icmpv6", (1, 1))
    rule = (
        f"{family_of(address)} daddr {address} {transport} dport 80 reject with {kind} type admin-prohibited"
    )
    scene.s.nft(f"add rule inet test forward {rule}")
    assert ask(scene, address, transport).outcomes == (Rejected(HOP[address][1], *code),)


@BOTH
@TRANSPORTS
def test_routers_that_limit_or_say_nothing_are_no_droppers(scene: Line, address: str, transport: str) -> None:
    drop = f"add rule inet test input {family_of(address)} daddr {address} {transport} dport 80 drop"
    scene.b.nft(drop)
    limit = f"add rule inet test output {EXPIRED[address]}"
    scene.r.nft(f"{limit} limit rate over 1/hour burst 1 packets drop")
    limited = ask(scene, address, transport).details[0]
    assert f"between hop 2 ({HOP[address][1]}) and the target" in str(limited.words), limited
    assert "it limits its ICMP" in str(texts(limited.facts)["hop 1"])
    scene.r.nft()
    scene.s.nft(f"{limit} drop")
    silent = ask(scene, address, transport).details[0]
    assert f"between hop 1 ({HOP[address][0]}) and the target; which of them cannot be known" in str(
        silent.words
    )


@BOTH
def test_a_dead_host_is_not_blamed_on_a_hop(scene: Line, address: str) -> None:
    scene.b.nft(f"add rule inet test input {family_of(address)} daddr {address} drop")
    words = str(ask(scene, address, "tcp").details[0].words)
    assert words.startswith(f"cannot be known: behind hop 2 ({HOP[address][1]}) the control probe"), words
