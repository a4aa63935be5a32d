"""Several links and gateways between two clusters: each is crossed and told apart from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.model.check import Check, TargetKind
from netprobe.model.component import Component, ComponentKind, gateway_in, gateway_out, tunnel
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, NodeRole
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeId, NodeName
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import find_routes
from tests.scenarios.default_topology import build_cluster

A, B, C = map(ClusterName, ("a", "b", "c"))
ONE, TWO = NodeName("gw"), NodeName("gw2")
SMALL, LARGE = PlanPolicy(), PlanPolicy(full_mesh_nodes=0)
both_sizes = pytest.mark.parametrize("policy", [SMALL, LARGE], ids=["full mesh", "sparse"])


def build_two_gateways(name: ClusterName, number: int, *, passive: bool = False) -> Cluster:
    """Gateways ``gw`` and ``gw2``, the second perhaps passive, and workers ``w1`` and ``w2``."""
    built = build_cluster(name, (ONE, TWO, NodeName("w1"), NodeName("w2")), number)
    second = replace(
        built.nodes[1], role=NodeRole.GATEWAY, outer_addresses=(f"203.0.113.{100 + number}",), passive=passive
    )
    return replace(built, nodes=(built.nodes[0], second, *built.nodes[2:]))


def join(one: ClusterName, other: ClusterName, gateway: NodeName, kind: LinkKind = LinkKind.TUNNEL) -> Link:
    return Link(one, other, kind, "wireguard" if kind is LinkKind.TUNNEL else "direct", gateway, gateway)


def build_twice_joined(
    *names: ClusterName, kind: LinkKind = LinkKind.TUNNEL, passive: bool = False
) -> Inventory:
    """Every two clusters connected by a tunnel between their ``gw`` and a link between their ``gw2``."""
    clusters = tuple(build_two_gateways(name, i + 1, passive=passive) for i, name in enumerate(names))
    pairs = [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    links = (join(*pair, *rest) for pair in pairs for rest in ((ONE,), (TWO, kind)))
    return Inventory(clusters, tuple(links))


def plan(inventory: Inventory, policy: PlanPolicy = SMALL, *, epoch: int = 1) -> FleetPlan:
    return plan_fleet(inventory, epoch=epoch, seed=7, interval_ns=10**9, cookie_key=b"key", policy=policy)


def crossed_by(fleet: FleetPlan) -> dict[Component, set[tuple[str, str]]]:
    """For each component of a gateway or link, the nodes whose checks cross it on the leg out."""
    checks: dict[CheckId, Check] = {check.id: check for each in fleet.plans for check in each.checks}
    found: dict[Component, set[tuple[str, str]]] = {}
    for legs in fleet.legs:
        for part in legs.forward:
            target = checks[legs.check].target.node
            found.setdefault(part, set()).add((str(checks[legs.check].source.node_id), str(target)))
    return found


def tunnels_of(fleet: FleetPlan) -> set[Component]:
    return {part for part in crossed_by(fleet) if part.kind is ComponentKind.TUNNEL}


@both_sizes
@pytest.mark.parametrize("kind", LinkKind)
@pytest.mark.parametrize("epoch", [0, 1, 2, 9])
def test_both_links_are_covered_in_every_epoch(policy: PlanPolicy, kind: LinkKind, epoch: int) -> None:
    fleet = plan(build_twice_joined(A, B, kind=kind), policy, epoch=epoch)
    assert fleet.coverage.uncovered == ()
    assert len(tunnels_of(fleet)) == 4


@both_sizes
def test_only_its_own_gateways_cross_the_second_link(policy: PlanPolicy) -> None:
    fleet = plan(build_twice_joined(A, B), policy)
    crossed = crossed_by(fleet)
    second = tunnel(A, B, link="wireguard:a–b gw2–gw2")
    for part in (second, gateway_out(NodeId(A, TWO)), gateway_in(NodeId(B, TWO))):
        assert crossed[part] == {("a/gw2", "b/gw2")}
    first = crossed[tunnel(A, B, link="wireguard:a–b gw–gw")]
    assert {source.partition("/")[2] for source, _ in first} >= {"gw", "w1", "w2"}
    assert ("a/gw2", "b/gw2") not in first


@both_sizes
def test_the_two_links_fail_apart(policy: PlanPolicy) -> None:
    """With two clusters, a link and its gateways look alike; components of two links never do."""
    classes = plan(build_twice_joined(A, B), policy).coverage.classes
    for group in classes:
        assert len({"gw2" in str(part) for part in group if part.kind is ComponentKind.TUNNEL}) <= 1
        assert not {"a/gw", "a/gw2"} <= {part.source for part in group}


def test_where_gateways_hold_several_links_every_part_is_told_apart() -> None:
    coverage = plan(build_twice_joined(A, B, C)).coverage
    assert (coverage.covered, coverage.identifiable) == (coverage.components, coverage.components)
    assert coverage.classes == ()


def test_pods_keep_to_the_first_link() -> None:
    fabric = ClusterGraph(build_twice_joined(A, B))
    for source in ("gw", "gw2", "w1", "w2"):
        for target in ("gw", "w1"):
            route, *_ = find_routes(
                fabric, source=AgentId.parse(f"a/{source}/pod"), target=AgentId.parse(f"b/{target}/pod")
            )
            links = [part for part in route if part.kind is ComponentKind.TUNNEL]
            assert links == [tunnel(A, B, link="wireguard:a–b gw–gw")]


def test_a_large_packet_fits_the_link_that_it_crosses() -> None:
    inventory = build_twice_joined(A, B)
    narrow = replace(inventory.links[1], mtu=1300)
    fleet = plan(replace(inventory, links=(inventory.links[0], narrow)))
    sizes = {
        (check.source.node, check.target.node.node): check.probe.size
        for each in fleet.plans
        for check in each.checks
        if check.probe.size
        and check.target.node is not None
        and check.source.cluster != check.target.node.cluster
    }
    assert sizes[TWO, TWO] == 1300
    assert {size for ends, size in sizes.items() if ends != (TWO, TWO)} == {1370}


class TestPassive:
    """A passive gateway forwards nothing; only its host and its outer address can be checked."""

    @both_sizes
    def test_it_is_covered_as_a_node_and_at_its_outer_address_only(self, policy: PlanPolicy) -> None:
        fleet = plan(build_twice_joined(A, B, passive=True), policy)
        assert fleet.coverage.uncovered == ()
        crossed = crossed_by(fleet)
        for cluster, other in ((A, B), (B, A)):
            standby = NodeId(cluster, TWO)
            assert gateway_out(standby) not in crossed
            assert gateway_in(standby) not in crossed
            outer = {
                str(check.source.node_id)
                for each in fleet.plans
                for check in each.checks
                if check.target.kind is TargetKind.GATEWAY_OUTER and check.target.node == standby
            }
            assert outer == {f"{other}/gw2"}
            assert {str(part) for part in crossed} >= {f"node-in({standby})", f"node-out({standby})"}
        assert tunnels_of(fleet) == {
            tunnel(one, other, link="wireguard:a–b gw–gw") for one, other in ((A, B), (B, A))
        }

    def test_it_stands_opposite_the_active_one_of_a_link_that_names_none(self) -> None:
        clusters = (build_two_gateways(A, 1, passive=True), build_cluster(B, (ONE, NodeName("w1")), 2))
        fabric = ClusterGraph(Inventory(clusters, (Link(A, B, LinkKind.TUNNEL),)))
        assert [str(hop.source_gateway) for hop in fabric.hops_from(A)] == ["a/gw"]
        assert [str(hop.source_gateway) for hop in fabric.standby_from(A)] == ["a/gw2"]
        assert [str(hop.target_gateway) for hop in fabric.standby_from(B)] == ["a/gw2"]

    def test_where_all_gateways_are_passive_nothing_joins_the_clusters(self) -> None:
        inventory = build_twice_joined(A, B, passive=True)
        coverage = plan(replace(inventory, links=inventory.links[1:])).coverage
        assert coverage.unjoined == ((A, B),)


def test_a_link_that_names_no_gateway_is_held_by_every_active_one() -> None:
    clusters = (build_two_gateways(A, 1), build_two_gateways(B, 2), build_two_gateways(C, 3))
    links = (Link(A, B, LinkKind.TUNNEL), Link(B, C, LinkKind.TUNNEL), Link(A, C, LinkKind.TUNNEL))
    coverage = plan(Inventory(clusters, links)).coverage
    assert coverage.uncovered == ()
    assert coverage.identifiable == coverage.components


def test_a_second_link_between_the_same_two_gateways_is_said_to_be_uncovered() -> None:
    """Packets between two gateways take one link; no check by address crosses the other."""
    inventory = build_twice_joined(A, B)
    twin = join(A, B, ONE, LinkKind.DIRECT)
    uncovered = plan(replace(inventory, links=(*inventory.links, twin))).coverage.uncovered
    assert uncovered == tuple(tunnel(one, other, link="direct:a–b") for one, other in ((A, B), (B, A)))


def test_links_of_equal_names_and_gateways_are_numbered() -> None:
    inventory = Inventory((), (join(A, B, ONE), join(A, B, ONE), join(A, B, TWO), join(B, C, ONE)))
    assert inventory.link_details() == (
        "wireguard:a–b gw–gw 1", "wireguard:a–b gw–gw 2", "wireguard:a–b gw2–gw2", "",
    )  # fmt: skip


@both_sizes
def test_hosts_ask_no_hosts_over_a_link_that_carries_pods_alone(policy: PlanPolicy) -> None:
    """Their packets go another way and would prove the tunnel well while it is cut."""
    inventory = build_twice_joined(A, B)
    links = tuple(replace(link, carries_hosts=False) for link in inventory.links)

    def across(inventory: Inventory) -> set[tuple[str, str]]:
        checks = (check for each in plan(inventory, policy).plans for check in each.checks)
        return {
            (check.source.plane, check.target.name.rpartition("/")[2])
            for check in checks
            if check.target.kind is TargetKind.AGENT
            and check.source.cluster != check.target.name.partition("/")[0]
        }

    assert across(inventory) == {("pod", "pod"), ("host", "host"), ("host", "pod")}
    assert across(replace(inventory, links=links)) == {("pod", "pod"), ("host", "pod")}
    assert plan(replace(inventory, links=links), policy).coverage.uncovered == ()
