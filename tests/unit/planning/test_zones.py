"""Zones: every ordered pair is crossed in every epoch, degrees stay, and little changes with a node."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netprobe.model.check import Layer
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import ClusterName, NodeId
from netprobe.planning.circulant import slot_count
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.zones import cross_zones
from tests.scenarios.default_topology import build_cluster

SPARSE = PlanPolicy(full_mesh_nodes=0, with_variants=False)


def build_zoned(sizes: list[int]) -> Cluster:
    """One cluster with a zone ``z0``, ``z1`` … of each of *sizes* nodes; the first node is the gateway."""
    zones = [f"z{number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = ("gw", *(f"w{number}" for number in range(1, len(zones))))
    built = build_cluster(ClusterName("c"), names, 1)
    nodes = tuple(replace(node, zone=zone) for node, zone in zip(built.nodes, zones, strict=True))
    return replace(built, nodes=nodes)


def plan(cluster: Cluster, policy: PlanPolicy = SPARSE, *, epoch: int = 0, seed: int = 7) -> FleetPlan:
    inventory = Inventory((cluster,))
    return plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**9, cookie_key=b"key", policy=policy)


def node_pairs(fleet: FleetPlan) -> set[tuple[NodeId, NodeId]]:
    return {
        (check.source.node_id, check.target.node)
        for each in fleet.plans
        for check in each.checks
        if check.layer is Layer.POD and check.target.node is not None
    }


@st.composite
def rounds_and_zones(draw: st.DrawFn) -> tuple[list[list[int]], list[str]]:
    """Some cyclic orders of a few nodes, and their zones."""
    zones = draw(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=2, max_size=14))
    rounds = []
    for _ in range(draw(st.integers(1, 3))):
        cycle = draw(st.permutations(range(len(zones))))
        after = dict(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        rounds.append([after[node] for node in range(len(zones))])
    return rounds, zones


def crossed(rounds: tuple[tuple[int, ...], ...] | list[list[int]], zones: list[str]) -> set[tuple[str, str]]:
    pairs = {(zones[source], zones[target]) for asked in rounds for source, target in enumerate(asked)}
    return {(one, other) for one, other in pairs if one != other and one and other}


class TestExchange:
    @settings(max_examples=60, deadline=None)
    @given(made=rounds_and_zones())
    def test_keeps_every_degree_and_loses_no_pair(self, made: tuple[list[list[int]], list[str]]) -> None:
        rounds, zones = made
        names = [f"n{number}" for number in range(len(zones))]
        found = cross_zones(rounds, zones=zones, names=names)
        for asked in found:
            assert sorted(asked) == list(range(len(zones)))
            assert all(source != target for source, target in enumerate(asked))
        assert crossed(rounds, zones) <= crossed(found, zones)

    def test_leaves_alone_what_crosses_everything(self) -> None:
        rounds = [[2, 3, 0, 1]]
        assert cross_zones(rounds, zones="aabb", names="1234") == ((2, 3, 0, 1),)

    def test_does_what_degrees_allow(self) -> None:
        """Three zones of one node each, asked once each: three of six pairs, for any exchange."""
        assert len(crossed(cross_zones([[1, 2, 0]], zones="abc", names="123"), list("abc"))) == 3


class TestPlan:
    @settings(max_examples=40, deadline=None)
    @given(
        sizes=st.lists(st.integers(2, 9), min_size=2, max_size=3),
        seed=st.integers(0, 999),
        epoch=st.integers(0, 99),
    )
    def test_every_ordered_pair_of_zones_is_asked_in_every_epoch(
        self, sizes: list[int], seed: int, epoch: int
    ) -> None:
        coverage = plan(build_zoned(sizes), seed=seed, epoch=epoch).coverage
        assert coverage.zone_pairs == len(sizes) * (len(sizes) - 1)
        assert coverage.zones_uncrossed == ()

    def test_the_rings_alone_would_not_do(self) -> None:
        """The test above can fail: without known zones, some epoch leaves a pair of them uncrossed."""
        cluster = build_zoned([6, 2, 2])
        zone_of = {cluster.node_id(node): node.zone for node in cluster.nodes}
        blind = replace(cluster, nodes=tuple(replace(node, zone="") for node in cluster.nodes))
        pairs = [
            {(zone_of[one], zone_of[other]) for one, other in node_pairs(plan(blind, epoch=epoch))}
            for epoch in range(10)
        ]
        assert any(len({(one, other) for one, other in asked if one != other}) < 6 for asked in pairs)

    @pytest.mark.parametrize("sizes", [[2, 2, 2], [9, 2, 2], [12, 12, 12]])
    def test_nobody_asks_or_is_asked_more_than_k_times(self, sizes: list[int]) -> None:
        for epoch in range(5):
            asks = node_pairs(plan(build_zoned(sizes), epoch=epoch))
            for counts in (Counter(one for one, _ in asks), Counter(other for _, other in asks)):
                assert len(counts) == sum(sizes)
                assert max(counts.values()) == SPARSE.degree

    def test_too_few_nodes_for_all_pairs_are_told(self) -> None:
        coverage = plan(build_zoned([1] * 6)).coverage
        assert coverage.zone_pairs == 30
        assert len(coverage.zones_uncrossed) >= 30 - 6 * SPARSE.degree
        assert all(one.startswith("c/z") for pair in coverage.zones_uncrossed for one in pair)

    def test_a_cluster_without_zones_has_no_pairs(self) -> None:
        coverage = plan(build_zoned([5])).coverage
        assert (coverage.zone_pairs, coverage.zones_uncrossed) == (0, ())


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(2, 9), min_size=2, max_size=3), data=st.data())
def test_a_node_that_goes_changes_no_more_than_with_blind_rings_and_some_exchanges(
    sizes: list[int], data: st.DataObject
) -> None:
    """An exchange changes two pairs; each pair of zones makes one exchange at most, before and after."""
    cluster = build_zoned(sizes)
    gone = data.draw(st.sampled_from(cluster.nodes[1:]))
    assume(slot_count(len(cluster.nodes)) == slot_count(len(cluster.nodes) - 1))
    counts = []
    for known in (True, False):
        nodes = tuple(node if known else replace(node, zone="") for node in cluster.nodes)
        before = node_pairs(plan(replace(cluster, nodes=nodes)))
        after = node_pairs(
            plan(replace(cluster, nodes=tuple(each for each in nodes if each.name != gone.name)))
        )
        left = cluster.node_id(gone)
        counts.append(len({pair for pair in before ^ after if left not in pair}))
    zone_pairs = len(sizes) * (len(sizes) - 1)
    assert counts[0] <= counts[1] + 2 * 4 * zone_pairs


@pytest.mark.parametrize("size", [6, 18])
def test_on_average_few_pairs_change_for_any_size(size: int) -> None:
    cluster = build_zoned([size] * 3)
    policy = replace(SPARSE, with_host_plane=False)
    before = node_pairs(plan(cluster, policy))
    changed = []
    for gone in cluster.nodes[1:7]:
        left = tuple(node for node in cluster.nodes if node != gone)
        after = node_pairs(plan(replace(cluster, nodes=left), policy))
        changed.append(len({pair for pair in before ^ after if cluster.node_id(gone) not in pair}))
    assert sum(changed) / len(changed) <= 6 * SPARSE.degree
