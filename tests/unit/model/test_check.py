"""What a target names is asked of it, by type."""

from __future__ import annotations

import pytest

from netprobe.model.check import Target, TargetKind
from netprobe.model.names import AgentId, ClusterName, NodeId

GW = NodeId.parse("a/gw")


@pytest.mark.parametrize(
    ("target", "cluster", "agent", "service"),
    [
        (Target(TargetKind.AGENT, "10.0.0.1", "a/gw/pod", GW), "a", "a/gw/pod", ""),
        (Target(TargetKind.NODE, "10.0.0.1", "a/gw", GW), "a", None, ""),
        (Target(TargetKind.GATEWAY_OUTER, "203.0.113.1", "a/gw/outer", GW), "a", None, ""),
        (Target(TargetKind.SERVICE, "10.9.0.1", "a/netprobe/echo"), "a", None, "netprobe/echo"),
        (Target(TargetKind.ENDPOINT, "10.0.0.1", "a/netprobe/echo/10.0.0.1"), "a", None, "netprobe/echo"),
        (Target(TargetKind.DNS, "10.9.0.2", "a/dns"), "a", None, ""),
        (Target(TargetKind.OUTSIDE, "198.51.100.7", "198.51.100.7"), None, None, ""),
        (Target(TargetKind.AGENT, "10.0.0.1", "odd"), "odd", None, ""),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_a_target_says_what_it_names(
    target: Target, cluster: str | None, agent: str | None, service: str
) -> None:
    assert target.cluster == (ClusterName(cluster) if cluster else None)
    assert target.agent == (AgentId.parse(agent) if agent else None)
    assert target.service_name == service
