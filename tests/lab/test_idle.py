"""Quiet flows through a real stateful router that forgets them.

a (prod/w1/pod) ── r ── b (dev/w1/pod)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netprobe.model.outcome import AppFailed, Reached, Refused, TimedOut
from netprobe.wire.messages import CheckAnswer
from tests.facts import texts
from tests.lab.agents import PORT
from tests.lab.linear_network import Line
from tests.lab.namespaces import Host, need_namespaces

pytestmark = [
    pytest.mark.slow,  # flows stay quiet for seconds, on purpose
    pytest.mark.lab,
    need_namespaces(),
]

B4, B6 = "10.2.0.2", "fd00:2::2"
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
FORGET_S = 2


@pytest.fixture
def scene(linear_network: Line) -> Iterator[Line]:
    yield linear_network
    linear_network.clear()


def ask(scene: Line, address: str, *, port: int = PORT) -> CheckAnswer:
    return scene.ask("idle", address, port=port, seconds=14, gaps="1,5", patience="2000")


def forget(router: Host, verdict: str) -> None:
    """Let *router* forget quiet flows, and treat packets of forgotten ones by *verdict*."""
    router.nft(
        "add rule inet test forward ct state established,related accept",
        "add rule inet test forward tcp flags & (syn | ack) == syn accept",
        f"add rule inet test forward meta l4proto tcp {verdict}",
    )
    router.set_sysctls({"netfilter/nf_conntrack_tcp_timeout_established": str(FORGET_S)})


@BOTH
def test_quiet_flows_live_where_nobody_forgets_and_closed_ports_are_told(scene: Line, address: str) -> None:
    answer = ask(scene, address)
    assert isinstance(answer.outcomes[0], Reached), answer
    assert texts(answer.details[0].facts) == {"1 s quiet": "lives", "5 s quiet": "lives"}
    assert isinstance(ask(scene, address, port=7).outcomes[0], Refused)


@BOTH
def test_a_firewall_that_forgets_is_silence(scene: Line, address: str) -> None:
    forget(scene.r, "drop")
    answer = ask(scene, address)
    assert isinstance(answer.outcomes[0], TimedOut), answer
    assert str(answer.details[0].words).startswith(
        "a quiet flow dies between 1 s and 5 s: its next packet meets"
    )


@BOTH
def test_a_gateway_that_resets_is_a_reset(scene: Line, address: str) -> None:
    forget(scene.r, "reject with tcp reset")
    answer = ask(scene, address)
    assert isinstance(answer.outcomes[0], AppFailed), answer
    assert str(answer.outcomes[0].reason).startswith(
        "a quiet flow dies between 1 s and 5 s: something on the way"
    )
    assert texts(answer.details[0].facts) == {"1 s quiet": "lives", "5 s quiet": "dead: reset"}
