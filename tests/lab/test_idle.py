"""Quiet flows through a real stateful router that forgets them.

a (prod/w1/pod) ── r ── b (dev/w1/pod)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from netprobe.model.names import AgentId
from netprobe.model.outcome import AppFailed, Reached, Refused, TimedOut
from netprobe.wire.messages import Answer
from tests.lab import agents
from tests.lab.agents import MS, PORT, make_check, make_probe
from tests.lab.asking import ask_once
from tests.lab.namespaces import Host, Namespaces, need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

A, B = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
B4, B6 = "10.2.0.2", "fd00:2::2"
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
FORGET_S = 2


@dataclass(slots=True)
class Scene:
    a: Host
    r: Host
    b: Host

    def ask(self, address: str, *, port: int = PORT) -> Answer:
        options = (("gaps", "1,5"), ("patience", "2000"))
        probe = replace(make_probe("idle", port=port), timeout_ns=14_000 * MS, options=options)
        return ask_once(self.a, make_check(A, address, probe, name=str(B), count=1))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Namespaces() as made:
        a, r, b = (made.host(name) for name in "arb")
        made.link(a, r, "10.1.0.0/24", "fd00:1::/64")
        made.link(r, b, "10.2.0.0/24", "fd00:2::/64")
        r.forward()
        for host in (a, b):
            host.default_via(r)
        a.settle(B4, B6)
        with agents.running(b, B, folder=tmp_path_factory.mktemp("idle")):
            yield Scene(a, r, b)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    yield network
    network.r.nft()


def forget(router: Host, verdict: str) -> None:
    """Let *router* forget quiet flows, and treat packets of forgotten ones by *verdict*."""
    router.nft(
        "add rule inet test forward ct state established,related accept",
        "add rule inet test forward tcp flags & (syn | ack) == syn accept",
        f"add rule inet test forward meta l4proto tcp {verdict}",
    )
    router.run("sysctl", "-qw", f"net.netfilter.nf_conntrack_tcp_timeout_established={FORGET_S}")


@BOTH
def test_quiet_flows_live_where_nobody_forgets_and_closed_ports_are_told(scene: Scene, address: str) -> None:
    answer = scene.ask(address)
    assert isinstance(answer.outcomes[0], Reached), answer
    assert dict(answer.details[0].facts) == {"1 s quiet": "lives", "5 s quiet": "lives"}
    assert isinstance(scene.ask(address, port=7).outcomes[0], Refused)


@BOTH
def test_a_firewall_that_forgets_is_silence(scene: Scene, address: str) -> None:
    forget(scene.r, "drop")
    answer = scene.ask(address)
    assert isinstance(answer.outcomes[0], TimedOut), answer
    assert answer.details[0].words.startswith("a quiet flow dies between 1 s and 5 s: its next packet meets")


@BOTH
def test_a_gateway_that_resets_is_a_reset(scene: Scene, address: str) -> None:
    forget(scene.r, "reject with tcp reset")
    answer = scene.ask(address)
    assert isinstance(answer.outcomes[0], AppFailed), answer
    assert answer.outcomes[0].reason.startswith("a quiet flow dies between 1 s and 5 s: something on the way")
    assert dict(answer.details[0].facts) == {"1 s quiet": "lives", "5 s quiet": "dead: reset"}
