"""Plans cover every part, tell single faults apart, and stay small."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model.check import Layer, TargetKind
from netprobe.model.component import ComponentKind, tunnel
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory, Link, LinkKind
from netprobe.model.names import AgentId, ClusterName, NodeId, NodeName, Plane
from netprobe.planning.fabric import Fabric
from netprobe.planning.fleet import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import find_route
from tests.scenarios.default_topology import DEV, PROD, STAGING, build_cluster, build_inventory


def plan(
    inventory: Inventory, *, epoch: int = 1, seed: int = 7, policy: PlanPolicy | None = None
) -> FleetPlan:
    return plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**9, cookie_key=b"key", policy=policy)


def build_fleet(clusters: int, nodes: int) -> Inventory:
    """A full mesh of *clusters* clusters with one gateway and *nodes* - 1 workers each."""
    names = tuple(ClusterName(f"c{i}") for i in range(clusters))
    shape = ("gw", *(f"w{j}" for j in range(1, nodes)))
    built = tuple(build_cluster(name, shape, i) for i, name in enumerate(names))
    links = tuple(
        Link(one, other, LinkKind.TUNNEL) for i, one in enumerate(names) for other in names[i + 1 :]
    )
    return Inventory(built, links)


class TestSmallFleet:
    def test_every_part_is_covered_and_told_apart(self) -> None:
        coverage = plan(build_inventory()).coverage
        assert (coverage.covered, coverage.identifiable) == (coverage.components, coverage.components)
        assert coverage.classes == ()

    def test_everybody_asks_everybody_on_its_plane(self) -> None:
        asked = {
            (check.source, check.target.name)
            for each in plan(build_inventory()).plans
            for check in each.checks
            if check.layer in {Layer.NODE, Layer.POD}
        }
        assert len(asked) == 7 * 6 * 2

    def test_no_agent_has_more_than_sixty_checks(self) -> None:
        assert max(len(each.checks) for each in plan(build_inventory()).plans) <= 60

    def test_the_plan_does_not_depend_on_the_epoch(self) -> None:
        one, other = (plan(build_inventory(), epoch=epoch) for epoch in (1, 2))
        assert [each.checks for each in one.plans] == [each.checks for each in other.plans]

    def test_large_packets_have_the_smallest_mtu_on_the_way(self) -> None:
        sizes = {check.probe.size for each in plan(build_inventory()).plans for check in each.checks}
        assert sizes == {0, 1370}

    def test_everybody_who_is_asked_knows_who_asks(self) -> None:
        fleet = plan(build_inventory())
        peers = {each.agent: dict(each.peers) for each in fleet.plans}
        for each in fleet.plans:
            for check in each.checks:
                if check.target.kind is TargetKind.AGENT:
                    assert each.agent in peers[AgentId.parse(check.target.name)]

    def test_equal_questions_are_asked_once(self) -> None:
        ids = Counter(check.id for each in plan(build_inventory()).plans for check in each.checks)
        assert set(ids.values()) == {1}

    def test_every_agent_asks_its_services_and_its_dns(self) -> None:
        for each in plan(build_inventory()).plans:
            layers = {check.layer for check in each.checks}
            assert {Layer.SERVICE, Layer.DNS} <= layers


class TestLargeFleet:
    def test_ten_by_hundred_is_covered_and_nearly_all_told_apart(self) -> None:
        coverage = plan(build_fleet(10, 100)).coverage
        assert coverage.covered == coverage.components
        assert coverage.identifiable >= 0.98 * coverage.components

    def test_only_a_route_and_the_overlay_beneath_it_are_alike_in_one_epoch(self) -> None:
        classes = plan(build_fleet(10, 100)).coverage.classes
        assert all({part.kind for part in group} == {ComponentKind.OVERLAY} for group in classes)

    def test_every_node_asks_and_is_asked_equally_often_inside_its_cluster(self) -> None:
        fleet = plan(build_fleet(2, 30))
        asks: Counter[NodeId] = Counter()
        asked: Counter[NodeId | None] = Counter()
        for each in fleet.plans:
            for check in each.checks:
                inside = check.target.node is not None and check.target.node.cluster == each.agent.cluster
                if check.layer is Layer.POD and check.probe.kind == "icmp" and inside:
                    asks[each.agent.node_id] += 1
                    asked[check.target.node] += 1
        assert set(asks.values()) == set(asked.values()) == {PlanPolicy().degree}

    def test_offsets_rotate_until_all_pairs_of_a_cluster_were_asked(self) -> None:
        inventory = build_fleet(1, 21)
        policy = PlanPolicy(full_mesh_nodes=2, degree=4)
        pairs = {
            (each.agent.node_id, check.target.node)
            for epoch in range(5)
            for each in plan(inventory, epoch=epoch, policy=policy).plans
            for check in each.checks
            if check.layer is Layer.POD
        }
        assert len(pairs) == 21 * 20

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 1000), epoch=st.integers(0, 50), nodes=st.integers(6, 12))
    def test_coverage_holds_for_every_seed_and_epoch(self, seed: int, epoch: int, nodes: int) -> None:
        policy = PlanPolicy(full_mesh_nodes=2)
        coverage = plan(build_fleet(3, nodes), seed=seed, epoch=epoch, policy=policy).coverage
        assert coverage.uncovered == ()


class TestRoutes:
    def test_pods_of_two_clusters_cross_overlay_gateways_and_tunnel(self) -> None:
        route = find_route(
            Fabric(build_inventory()), source=_agent(PROD, "w1", "pod"), target=_agent(DEV, "w1", "pod")
        )
        assert route is not None
        assert list(map(str, route)) == [
            "pod-out(prod-us-west-1/w1)",
            "node-out(prod-us-west-1/w1)",
            "overlay(prod-us-west-1/w1→prod-us-west-1/gw to dev-on-premise)",
            "overlay(prod-us-west-1/w1→prod-us-west-1/gw)",
            "gateway-out(prod-us-west-1/gw)",
            "tunnel(prod-us-west-1→dev-on-premise)",
            "gateway-in(dev-on-premise/gw)",
            "overlay(dev-on-premise/gw→dev-on-premise/w1)",
            "node-in(dev-on-premise/w1)",
            "pod-in(dev-on-premise/w1)",
        ]

    def test_hosts_of_one_cluster_need_no_overlay(self) -> None:
        route = find_route(
            Fabric(build_inventory()), source=_agent(PROD, "w1", "host"), target=_agent(PROD, "w2", "host")
        )
        assert route is not None
        assert [part.kind for part in route] == [ComponentKind.NODE_OUT, ComponentKind.NODE_IN]

    def test_without_a_direct_link_the_way_leads_through_a_third_cluster(self) -> None:
        whole = build_inventory()
        partial = Inventory(whole.clusters, whole.links[:2])
        route = find_route(Fabric(partial), source=_agent(PROD, "gw", "pod"), target=_agent(DEV, "gw", "pod"))
        assert route is not None
        assert [part for part in route if part.kind is ComponentKind.TUNNEL] == [
            tunnel(PROD, STAGING),
            tunnel(STAGING, DEV),
        ]

    def test_no_link_no_question(self) -> None:
        fleet = plan(Inventory(build_inventory().clusters))
        targets = {
            (each.agent.cluster, check.target.node.cluster)
            for each in fleet.plans
            for check in each.checks
            if check.target.node
        }
        assert all(source == target for source, target in targets)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (Link(PROD, ClusterName("mars"), LinkKind.TUNNEL), "unknown cluster 'mars'"),
        (Link(PROD, DEV, LinkKind.TUNNEL, source_gateway=NodeName("w9")), "unknown node prod-us-west-1/w9"),
    ],
    ids=["to nowhere", "from an unknown gateway"],
)
def test_a_link_that_contradicts_the_inventory_is_refused(link: Link, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan(Inventory(build_inventory().clusters, (link,)))


def test_a_node_that_stands_twice_is_refused() -> None:
    cluster = build_inventory().clusters[0]
    with pytest.raises(InputError, match="stands twice"):
        plan(Inventory((cluster, cluster)))


def _agent(cluster: ClusterName, node: str, plane: str) -> AgentId:
    return AgentId(cluster, NodeName(node), Plane(plane))
