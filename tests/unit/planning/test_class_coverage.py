"""Classes of traffic are told apart at every tunnel and gateway, and at most nodes, for few more checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.plan_classes import is_later, plan_by_chance, plan_now, with_ipv6
from netprobe.model.check import Check, Layer
from netprobe.model.component import ComponentKind
from netprobe.model.fleet import ClassCoverage, Coverage, FleetPlan, GapReason
from netprobe.model.inventory import Inventory
from netprobe.model.names import Plane
from netprobe.planning.array_planner import plan_as_arrays
from netprobe.planning.array_rows import count_classes
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.traffic_profiles import CONDITIONS
from netprobe.simulate.fleet import ClusterJoin, FleetShape, build_inventory

NODES = {ComponentKind.NODE_OUT, ComponentKind.NODE_IN}
GROWTH = 0.10
"""Checks that tell classes apart may cost this share of those of the plan by chance."""
TURNS = range(3)
"""Epochs within which every route has its variants."""
seldom = settings(max_examples=8, deadline=None)


def plan(
    inventory: Inventory, *, epoch: int = 1, seed: int = 7, policy: PlanPolicy | None = None
) -> FleetPlan:
    return plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**9, cookie_key=b"key", policy=policy)


def without_gateways(inventory: Inventory) -> Inventory:
    """The same clusters, each for itself."""
    return replace(inventory, links=())


@st.composite
def fleets(draw: st.DrawFn, least_clusters: int = 1, least_nodes: int = 1) -> Inventory:
    """Full meshes of one or two families, also of single nodes."""
    shape = FleetShape(
        draw(st.integers(least_clusters, 7), label="clusters"),
        draw(st.integers(least_nodes, 12), label="nodes"),
    )
    inventory = build_inventory(shape)
    return with_ipv6(inventory) if draw(st.booleans(), label="dual stack") else inventory


def find_coverage(coverage: Coverage, *kinds: ComponentKind) -> list[ClassCoverage]:
    return [one for one in coverage.traffic if not kinds or one.kind in kinds]


def count_variants(fleet: FleetPlan) -> int:
    return sum(check.count == 1 for check in fleet.checks)


def test_every_class_of_tunnels_and_gateways_and_most_of_nodes_are_told_apart() -> None:
    coverage = plan(with_ipv6(build_inventory(FleetShape(10, 20)))).coverage
    for one in coverage.traffic:
        wanted = 0.92 if one.kind in NODES else 1.0
        assert one.named >= wanted * one.classes, one
        assert one.located >= wanted * one.classes, one


@seldom
@given(inventory=fleets(least_clusters=3, least_nodes=2), epoch=st.integers(0, 50), seed=st.integers(0, 99))
def test_it_holds_for_every_fleet_epoch_and_seed(inventory: Inventory, epoch: int, seed: int) -> None:
    for one in plan(inventory, epoch=epoch, seed=seed).coverage.traffic:
        if one.kind not in NODES:
            assert one.located == one.classes, one


@pytest.mark.slow
@seldom
@given(inventory=fleets(), epoch=st.integers(0, 50))
def test_a_class_that_is_asked_is_told_from_the_other_classes(inventory: Inventory, epoch: int) -> None:
    """Whatever the fleet: what is lacking is not asked, and what crosses both is the same part."""
    coverage = plan(inventory, epoch=epoch, policy=PlanPolicy(full_mesh_nodes=60)).coverage
    assert all(one.named == one.asked for one in coverage.traffic), coverage.traffic_gaps


@seldom
@given(inventory=fleets(), seed=st.integers(0, 99))
def test_checks_grow_by_a_tenth_at_most(inventory: Inventory, seed: int) -> None:
    now = sum(len(plan_now(inventory, epoch=epoch, seed=seed)) for epoch in TURNS)
    before = sum(
        sum(not is_later(check) for check, _ in plan_by_chance(inventory, epoch=epoch, seed=seed))
        for epoch in TURNS
    )
    assert now <= (1 + GROWTH) * before + 1


def test_a_route_that_few_pairs_cross_has_its_turn_in_one_of_three_epochs() -> None:
    inventory = build_inventory(FleetShape(20, 1))
    asked = [
        {
            frozenset((check.source.cluster, check.target.cluster))
            for check in plan(inventory, epoch=epoch).checks
            if check.probe.kind == "tcp" and check.layer is Layer.POD
        }
        for epoch in TURNS
    ]
    assert sum(map(len, asked)) == len(set.union(*asked)) == 20 * 19 // 2


def test_one_family_has_no_classes_of_families() -> None:
    coverage = plan(build_inventory(FleetShape(3, 4))).coverage
    assert {gap.traffic.attribute for gap in coverage.traffic_gaps} == {"protocol"}
    single, dual = (
        find_coverage(plan(each).coverage, ComponentKind.TUNNEL)[0].classes
        for each in (build_inventory(FleetShape(3, 4)), with_ipv6(build_inventory(FleetShape(3, 4))))
    )
    assert dual - single == 2 * 6  # two families at six directions of tunnels


def test_the_coverage_says_where_a_class_is_not_asked() -> None:
    """Unknown stays unknown: without new flows TCP is the only thing that opens any."""
    fleet = plan(with_ipv6(build_inventory(FleetShape(3, 4))), policy=PlanPolicy(with_variants=False))
    pairs = {
        (gap.traffic.value, gap.other.value)
        for gap in fleet.coverage.traffic_gaps
        if gap.reason is GapReason.OTHER_CLASS and gap.other
    }
    assert ("tcp", "new") in pairs
    assert ("pod", "pod") in pairs


def test_clusters_without_links_have_nodes_only() -> None:
    coverage = plan(without_gateways(with_ipv6(build_inventory(FleetShape(2, 12))))).coverage
    assert {one.kind for one in coverage.traffic} == NODES
    assert all(one.named == one.classes for one in coverage.traffic)


def test_what_has_no_counter_is_not_told_from_the_other_direction() -> None:
    gaps = plan(build_inventory(FleetShape(3, 4))).coverage.traffic_gaps
    assert {gap.traffic.value for gap in gaps} == {"icmp", "tcp"}
    assert {gap.reason for gap in gaps} == {GapReason.OTHER_DIRECTION}


@pytest.mark.parametrize("joined", ClusterJoin)
def test_equal_arguments_give_equal_plans(joined: ClusterJoin) -> None:
    inventory = with_ipv6(build_inventory(FleetShape(4, 6, joined)))
    one, other = (plan(inventory, epoch=3) for _ in range(2))
    assert one == other


@seldom
@given(epoch=st.integers(0, 50), nodes=st.integers(5, 9), joined=st.sampled_from(ClusterJoin))
def test_both_planners_count_the_same(epoch: int, nodes: int, joined: ClusterJoin) -> None:
    inventory = with_ipv6(build_inventory(FleetShape(4, nodes, joined)))
    classes, _ = count_classes(plan_as_arrays(inventory, epoch=epoch, seed=7))
    assert classes == plan(inventory, epoch=epoch).coverage.traffic


def test_budgets_leave_the_new_checks_out_first() -> None:
    inventory = build_inventory(FleetShape(4, 6))
    base = plan(inventory, policy=PlanPolicy(with_variants=False))
    most = max(sum(check.count for check in each.checks) for each in base.plans)
    tight = plan(inventory, policy=PlanPolicy(agent_budget=most))
    assert tight.coverage.left_out
    assert {check.id for check in base.checks} <= {check.id for check in tight.checks}


def test_hosts_ask_pods_of_other_clusters_once_per_pair_of_clusters() -> None:
    fleet = plan(build_inventory(FleetShape(10, 3)))
    mixed = [check for check in fleet.checks if is_mixed(check)]
    assert len(mixed) == 10 * 9 // 2
    assert {(check.probe.kind, check.count, check.source.plane) for check in mixed} == {
        ("udp", 1, Plane.HOST)
    }


def is_mixed(check: Check) -> bool:
    return check.layer is Layer.HOST_POD and check.source.cluster != check.target.cluster


def test_an_outer_address_is_no_class() -> None:
    assert all(one.value != "outer" for one in CONDITIONS)
