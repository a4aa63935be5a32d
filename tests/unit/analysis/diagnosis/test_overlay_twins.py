"""Where one overlay leads to a node, its loss may be that of the node's forwarding."""

from __future__ import annotations

import numpy as np

from netprobe.analysis.diagnosis.loss_rows import LossRows
from netprobe.analysis.diagnosis.overlay_twins import find_overlay_twins
from netprobe.analysis.diagnosis.symptom import TrafficClass
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.plan.index import CheckFacts, PlanIndex
from netprobe.model.component import Component, node_in, overlay, pod_in
from netprobe.model.names import NodeId, Plane
from tests.scenarios.player import default_fleet

ROWS = LossRows(PlanIndex(*default_fleet()), (TrafficClass.MAIN,))
STAGING_GATEWAY, STAGING = (NodeId.parse(f"staging-eu-central-1/{name}") for name in ("gw", "w1"))
PROD, OTHER = (NodeId.parse(f"prod-us-west-1/{name}") for name in ("w1", "w2"))


def find(part: Component, *, between: frozenset[Plane] = frozenset({Plane.POD})) -> tuple[Component, ...]:
    """With what only agents of these planes asked each other within a cluster."""
    sent = np.array([is_used(ROWS.check(row), between) for row in range(ROWS.matrix.rows)], np.int64)
    return find_overlay_twins(ROWS, part, Observations(ROWS.matrix, sent, np.zeros_like(sent)))


def is_used(check: CheckFacts, between: frozenset[Plane]) -> bool:
    if check.asked is None or check.asked.cluster != check.source.cluster:
        return True
    return {check.source.plane, check.asked.plane} <= between


def test_in_a_cluster_of_two_nodes_it_may_be_the_pods_of_the_node() -> None:
    assert pod_in(STAGING) in find(overlay(STAGING_GATEWAY, STAGING))


def test_what_comes_to_the_node_itself_tells_them_apart() -> None:
    assert find(overlay(STAGING_GATEWAY, STAGING), between=frozenset(Plane)) == ()


def test_the_nodes_own_addresses_are_reached_without_the_overlay() -> None:
    assert node_in(STAGING) not in find(overlay(STAGING_GATEWAY, STAGING))


def test_where_several_overlays_lead_to_a_node_each_is_its_own() -> None:
    assert find(overlay(PROD, OTHER)) == ()


def test_only_overlays_have_twins() -> None:
    assert find(node_in(STAGING)) == ()
