"""Discriminating checks: the expected gain, when the choice ends, and that ambiguous classes are split."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model.component import Component, node_out
from netprobe.model.names import AgentId, NodeId
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.discriminating_checks import (
    Candidate,
    Class,
    choose_next,
    cut,
    expected_gain,
    find_discriminating_checks,
)
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from tests.scenarios.default_topology import build_inventory

A, B = AgentId.parse("x/a/pod"), AgentId.parse("x/b/pod")
PARTS = tuple(node_out(NodeId.parse(f"x/n{number}")) for number in range(8))


def crossing(out: set[int], back: set[int] | None = None) -> Candidate:
    return Candidate(A, B, frozenset(PARTS[n] for n in out), frozenset(PARTS[n] for n in back or set()))


subsets = st.sets(st.integers(0, 7))
candidates = st.lists(st.builds(crossing, subsets, subsets), max_size=6)
partitions = st.lists(st.integers(0, 3), min_size=8, max_size=8).map(
    lambda labels: tuple(
        tuple(part for part, label in zip(PARTS, labels, strict=True) if label == wanted)
        for wanted in sorted(set(labels))
    )
)


class TestGain:
    @pytest.mark.parametrize(
        ("out", "back", "bits"),
        [
            (set(), set(), 0),
            (set(range(8)), set(), 0),
            ({0, 1, 2, 3}, set(), 1),
            ({0, 1, 2, 3}, {0, 1, 4, 5}, 2),
            ({0}, set(), log2(8) / 8 + 7 / 8 * log2(8 / 7)),
        ],
        ids=["crosses none", "crosses all", "half", "half each way", "one of eight"],
    )
    def test_is_the_entropy_of_the_cut(self, out: set[int], back: set[int], bits: float) -> None:
        assert expected_gain([PARTS], crossing(out, back)) == pytest.approx(bits)

    @settings(deadline=None)
    @given(classes=partitions, out=subsets, back=subsets)
    def test_lies_between_nothing_and_everything_unknown(
        self, classes: tuple[Class, ...], out: set[int], back: set[int]
    ) -> None:
        unknown = sum(len(group) * log2(len(group)) for group in classes) / len(PARTS)
        gain = expected_gain(classes, crossing(out, back))
        assert 0 <= gain <= min(2, unknown) + 1e-9

    @settings(deadline=None)
    @given(classes=partitions, out=subsets, back=subsets)
    def test_a_cut_loses_no_part(self, classes: tuple[Class, ...], out: set[int], back: set[int]) -> None:
        for group in classes:
            assert sorted(part for piece in cut(group, crossing(out, back)) for part in piece) == sorted(
                group
            )


class TestChoice:
    @settings(deadline=None)
    @given(classes=partitions, asked=candidates, budget=st.integers(0, 5))
    def test_halts_within_its_budget_and_never_asks_for_nothing(
        self, classes: tuple[Class, ...], asked: list[Candidate], budget: int
    ) -> None:
        chosen, left = choose_next(classes, asked, budget=budget)
        assert len(chosen) <= budget
        assert all(bits > 0 for _, bits in chosen)
        assert all(len(group) > 1 for group in left)
        if len(chosen) < budget:  # it stopped by itself: nothing cuts what is left
            assert all(expected_gain(left, candidate) < 1e-6 for candidate in asked)

    @settings(deadline=None)
    @given(classes=partitions, asked=candidates)
    def test_the_first_is_the_most_telling(self, classes: tuple[Class, ...], asked: list[Candidate]) -> None:
        chosen, _ = choose_next(classes, asked, budget=1)
        best = max((expected_gain([g for g in classes if len(g) > 1], each) for each in asked), default=0)
        assert (chosen[0][1] if chosen else 0) == pytest.approx(best, abs=1e-6)

    def test_three_halvings_name_one_of_eight(self) -> None:
        halves = [crossing({0, 1, 2, 3}), crossing({0, 1, 4, 5}), crossing({0, 2, 4, 6})]
        chosen, left = choose_next([PARTS], halves, budget=9)
        assert (len(chosen), left) == (3, ())


def test_a_plan_that_cannot_tell_two_parts_apart_says_what_would() -> None:
    """One check from worker to worker cannot tell the components of both planes apart; further agents can."""
    fabric = ClusterGraph(build_inventory())
    source, target = AgentId.parse("prod-us-west-1/w1/pod"), AgentId.parse("prod-us-west-1/w2/pod")
    alike = (
        Component.parse("node-out(prod-us-west-1/w1)"),
        Component.parse("pod-out(prod-us-west-1/w1)"),
        Component.parse("overlay(prod-us-west-1/w1→prod-us-west-1/w2)"),
    )
    found = find_discriminating_checks(fabric, [alike], budget=5)
    assert 1 <= len(found) <= 2
    assert (source, target) not in {(each.source, each.target) for each in found}
    assert found[0].bits > 0


def test_a_sparse_plan_proposes_what_splits_its_classes_and_a_full_mesh_nothing() -> None:
    inventory = build_inventory()
    sparse = PlanPolicy(full_mesh_nodes=0, degree=1, with_host_plane=False, with_variants=False)
    some, every = (
        plan_fleet(inventory, epoch=1, seed=1, interval_ns=10**9, cookie_key=b"key", policy=policy).coverage
        for policy in (sparse, PlanPolicy())
    )
    assert some.classes
    assert some.splitting
    assert (every.classes, every.splitting) == ((), ())
