from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.planning.arrays import (
    FleetShape,
    count_changed_elsewhere,
    count_coverage,
    find_legs,
    plan_checks,
)

SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=5)


def fleet(*sizes: int) -> FleetShape:
    return FleetShape.full_mesh({f"c{c}": [f"n{n}" for n in range(size)] for c, size in enumerate(sizes)})


@settings(deadline=None)
@given(SIZES, st.integers(0, 50), st.integers(0, 9))
def test_nobody_asks_itself_and_nothing_is_asked_twice(sizes: list[int], epoch: int, seed: int) -> None:
    checks = plan_checks(fleet(*sizes), epoch=epoch, seed=seed)
    pairs = list(zip(checks.source.tolist(), checks.target.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert all(source != target for source, target in pairs)


@settings(deadline=None)
@given(SIZES, st.integers(0, 50), st.integers(0, 9))
def test_every_node_of_a_cluster_with_others_asks_and_is_asked(
    sizes: list[int], epoch: int, seed: int
) -> None:
    shape = fleet(*sizes)
    checks = plan_checks(shape, epoch=epoch, seed=seed)
    inside = shape.cluster_of[checks.source] == shape.cluster_of[checks.target]
    several = {node for node in range(sum(sizes)) if sizes[shape.cluster_of[node]] > 1}
    assert set(checks.source[inside].tolist()) == several
    assert set(checks.target[inside].tolist()) == several


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=5), st.integers(0, 50))
def test_every_component_of_joined_clusters_is_covered(sizes: list[int], epoch: int) -> None:
    shape = fleet(*sizes)
    coverage = count_coverage(find_legs(shape, plan_checks(shape, epoch=epoch, seed=1)))
    lonely_overlays = 2 * sizes.count(1)  # a cluster of one node has no overlay to cross
    assert coverage.covered == coverage.components - lonely_overlays


def test_every_single_fault_of_a_fleet_is_identifiable() -> None:
    shape = fleet(*[30] * 6)
    for epoch in range(5):
        coverage = count_coverage(find_legs(shape, plan_checks(shape, epoch=epoch, seed=3)))
        assert coverage.identifiable == coverage.covered == coverage.components


def test_a_leg_crosses_its_parts_in_order_and_returns_over_the_opposite_ones() -> None:
    shape = fleet(2, 2)
    checks = plan_checks(shape, epoch=0, seed=0)
    legs = find_legs(shape, checks)
    check = next(i for i, pair in enumerate(zip(checks.source, checks.target, strict=True)) if pair == (1, 3))
    out, back = (
        legs.indices[legs.indptr[row] : legs.indptr[row + 1]].tolist() for row in (2 * check, 2 * check + 1)
    )
    # node-out 0–3, node-in 4–7, overlay-out 8–9, -in 10–11, gateway-out 12–13, -in 14–15, tunnels
    assert out == [1, 8, 12, 16, 15, 11, 7]
    assert back == [3, 9, 13, 17, 14, 10, 5]


def test_gateways_take_part_in_all_combinations_and_nodes_take_turns() -> None:
    shape = fleet(5, 5)
    partners = set()
    for epoch in range(40):
        checks = plan_checks(shape, epoch=epoch, seed=0)
        across = (checks.source < 5) & (checks.target >= 5)
        assert (0, 5) in set(zip(checks.source[across].tolist(), checks.target[across].tolist(), strict=True))
        assert int(across.sum()) == 4
        partners |= set(checks.source[across].tolist())
    assert partners == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("comes", [True, False], ids=["a node comes", "a node goes"])
def test_one_node_changes_a_handful_of_checks_elsewhere(comes: bool) -> None:
    nodes_of = {f"c{c}": [f"n{n}" for n in range(200)] for c in range(6)}
    before = FleetShape.full_mesh(nodes_of)
    checks = plan_checks(before, epoch=2, seed=0)
    changed = []
    for number in range(30):
        nodes = nodes_of["c3"]
        nodes = [*nodes, f"new{number}"] if comes else [node for node in nodes if node != f"n{number + 1}"]
        after = FleetShape.full_mesh({**nodes_of, "c3": nodes})
        changed.append(
            count_changed_elsewhere((before, checks), (after, plan_checks(after, epoch=2, seed=0)))
        )
    assert (
        np.mean(changed) <= 2 * 4
    )  # degree 2: each offset closes or opens one gap, and some node moves house
    assert max(changed) < 30


def test_plans_depend_on_epoch_and_seed_and_nothing_else() -> None:
    plans = [
        plan_checks(fleet(20, 20), epoch=epoch, seed=seed).target.tolist()
        for epoch, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    ]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
    assert plans[0] != plans[3]


@pytest.mark.parametrize(
    ("gateway", "pairs", "said"),
    [
        pytest.param(3, [[0, 1]], "cluster a: gateway 3 is none of 1 nodes", id="no such gateway"),
        pytest.param(0, [[0, 2]], "names a cluster that is not there", id="no such cluster"),
        pytest.param(0, [[1, 1]], "joins a cluster with itself", id="tunnel to itself"),
    ],
)
def test_a_contradictory_shape_is_refused(gateway: int, pairs: list[list[int]], said: str) -> None:
    key = np.array([1], np.uint64)
    with pytest.raises(InputError, match=said):
        FleetShape(("a", "b"), (key, key + np.uint64(1)), (gateway, 0), np.array(pairs))
