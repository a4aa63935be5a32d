"""Who may answer at a target."""

from __future__ import annotations

import pytest

from netprobe.model.check import Probe, TargetKind
from netprobe.model.outcome import Reached, WrongPeer
from netprobe.probes.observation import judge_identity
from tests.unit.probes.questions import make_check


@pytest.mark.parametrize(
    ("kind", "name", "answered_by", "is_right"),
    [
        pytest.param(TargetKind.AGENT, "dev/w1/pod", "dev/w1/pod", True, id="the agent itself"),
        pytest.param(TargetKind.AGENT, "dev/w1/pod", "dev/w1/host", False, id="its neighbour"),
        pytest.param(TargetKind.AGENT, "dev/w1/pod", "", False, id="nobody"),
        pytest.param(TargetKind.SERVICE, "dev/netprobe/echo", "dev/w2/pod", True, id="any agent behind it"),
        pytest.param(TargetKind.SERVICE, "dev/netprobe/echo", "prod/w2/pod", False, id="another cluster's"),
        pytest.param(TargetKind.SERVICE, "dev/netprobe/echo", "dev2/w2/pod", False, id="a similar name"),
        pytest.param(TargetKind.NODE, "dev/w1", "dev/w1/host", True, id="the node's host agent"),
        pytest.param(TargetKind.NODE, "dev/w1", "dev/w2/host", False, id="another node"),
        pytest.param(TargetKind.GATEWAY_OUTER, "dev/gw/outer", "dev/gw/host", True, id="the gateway"),
        pytest.param(TargetKind.OUTSIDE, "example", "whoever", True, id="outside no agent is known"),
    ],
)
def test_only_the_right_one_may_answer(kind: TargetKind, name: str, answered_by: str, is_right: bool) -> None:
    check = make_check(Probe("udp", port=9771), kind=kind, name=name)
    expected = Reached(5) if is_right else WrongPeer(name, answered_by, 5)
    assert judge_identity(check, answered_by, rtt_ns=5) == expected
