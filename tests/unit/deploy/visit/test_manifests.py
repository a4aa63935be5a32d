"""Which nodes the agents of a visit run on: those that discovery expects agents on, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.deploy.visit.manifests import ON_LINUX_MACHINES, daemon_set
from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.facts import is_virtual, is_windows
from netprobe.model.names import Plane


def test_both_planes_run_on_linux_machines() -> None:
    for plane in Plane:
        assert daemon_set(plane, "image", 9771)["spec"]["template"]["spec"]["affinity"] == ON_LINUX_MACHINES


@pytest.mark.parametrize(
    ("labels", "runs"),
    [
        ({}, True),
        ({"type": "worker"}, True),
        ({"kubernetes.io/os": "windows"}, False),
        ({"liqo.io/type": "virtual-node"}, False),
        ({"type": "virtual-kubelet"}, False),
        ({"type": "kwok"}, False),
        ({"eks.amazonaws.com/compute-type": "fargate"}, False),
        ({"eks.amazonaws.com/compute-type": "ec2"}, True),
    ],
)
def test_agents_run_on_exactly_those_nodes_that_discovery_expects_them_on(
    labels: dict[str, str], runs: bool
) -> None:
    labels = {"kubernetes.io/os": "linux"} | labels
    node = schema.NodeObject(schema.Meta("n", labels=labels))
    affinity: dict[str, Any] = ON_LINUX_MACHINES["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    assert all(_matches(labels, one) for one in term["matchExpressions"]) is runs
    assert (is_virtual(node) or is_windows(node)) is not runs


def _matches(labels: dict[str, str], expression: dict[str, Any]) -> bool:
    """As the scheduler reads it: NotIn also matches where the label is missing."""
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "DoesNotExist":
            return value is None
        case "In":
            return value in expression["values"]
        case _:
            return value not in expression["values"]
