"""Checks to ask in tests."""

from __future__ import annotations

from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.names import AgentId

ASKER = AgentId.parse("prod/w1/pod")
PEER = AgentId.parse("dev/w1/pod")


def make_check(
    probe: Probe,
    *,
    address: str = "10.0.0.2",
    kind: TargetKind = TargetKind.AGENT,
    name: str = str(PEER),
    count: int = 3,
    source: AgentId = ASKER,
) -> Check:
    """A check with sensible defaults."""
    target = Target(kind, address, name)
    return Check(check_id(source, target, probe), source, target, probe, Layer.POD, count)
