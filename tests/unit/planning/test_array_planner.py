"""A plan as arrays crosses the same components as the plan as objects, check by check."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from netprobe.errors import MisuseError
from netprobe.model.component import Component
from netprobe.model.inventory import Inventory
from netprobe.planning.array_planner import plan_as_arrays
from netprobe.planning.array_rows import ArrayPlan, count_classes, count_coverage
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.simulate.fleet import ClusterJoin, FleetShape, build_inventory

Rows = Counter[tuple[frozenset[Component], frozenset[Component]]]


def in_zones(inventory: Inventory) -> Inventory:
    """The same fleet with every cluster in three zones, and IPv6 on every other pod."""
    clusters = []
    for number, cluster in enumerate(inventory.clusters):
        nodes = tuple(
            replace(
                node,
                zone="abc"[place % 3],
                pod_addresses=(*node.pod_addresses, *([f"fd00::{number}:{place}"] if place % 2 else [])),
            )
            for place, node in enumerate(cluster.nodes)
        )
        clusters.append(replace(cluster, nodes=nodes))
    return replace(inventory, clusters=tuple(clusters))


def twice_linked(inventory: Inventory) -> Inventory:
    """Every second link has a parallel link between the same first gateways, with its own addresses."""
    first = {cluster.name: cluster.gateways[0].name for cluster in inventory.clusters}
    more = tuple(
        replace(
            link,
            mechanism="ipsec",
            source_gateway=first[link.source],
            target_gateway=first[link.target],
            source_addresses=(f"10.99.{place}.1",),
            target_addresses=(f"10.99.{place}.2",),
        )
        for place, link in enumerate(inventory.links[::2])
    )
    return replace(inventory, links=(*inventory.links, *more))


def joined_for_pods(inventory: Inventory) -> Inventory:
    """Every second link carries packets to pods and services, and none to nodes, as fabrics' tunnels do."""
    links = tuple(replace(link, carries_hosts=bool(place % 2)) for place, link in enumerate(inventory.links))
    return replace(inventory, links=links)


def with_a_site(inventory: Inventory) -> Inventory:
    """The first cluster is a site: hosts without pods."""
    first, *others = inventory.clusters
    hosts = tuple(replace(node, pod_addresses=(), pod_cidrs=()) for node in first.nodes)
    site = replace(first, nodes=hosts, services=(), dns_addresses=(), is_site=True)
    return replace(inventory, clusters=(site, *others))


FLEETS = {
    "full mesh": build_inventory(FleetShape(4, 6)),
    "hub, two gateways": build_inventory(FleetShape(4, 6, ClusterJoin.HUB, 2)),
    "partial, zones, IPv6": in_zones(build_inventory(FleetShape(5, 5, ClusterJoin.PARTIAL))),
    "several links": twice_linked(build_inventory(FleetShape(3, 7, gateways=2))),
    "links for pods": joined_for_pods(build_inventory(FleetShape(4, 6))),
    "a site": with_a_site(build_inventory(FleetShape(4, 6))),
    "one node each": build_inventory(FleetShape(20, 1)),
    "many clusters": build_inventory(FleetShape(26, 2)),
}


def rows_of(plan: ArrayPlan) -> Rows:
    def parts(row: int) -> frozenset[Component]:
        numbers = plan.indices[plan.indptr[row] : plan.indptr[row + 1]].tolist()
        return frozenset(map(plan.component, numbers))

    return Counter(
        (parts(first + place), parts(first + count + place) if returns else frozenset())
        for first, count, returns in plan.spans
        for place in range(count)
    )


@pytest.mark.slow
@pytest.mark.parametrize("inventory", FLEETS.values(), ids=FLEETS)
@pytest.mark.parametrize("host_plane", [True, False])
def test_every_check_crosses_what_it_crosses_in_the_plan_of_objects(
    inventory: Inventory, host_plane: bool
) -> None:
    policy = PlanPolicy(with_host_plane=host_plane)
    bulk = plan_as_arrays(inventory, epoch=3, seed=7, policy=policy)
    fleet = plan_fleet(inventory, epoch=3, seed=7, interval_ns=1, cookie_key=b"key", policy=policy)
    told = Counter((frozenset(legs.forward), frozenset(legs.back)) for legs in fleet.legs if legs.forward)
    assert rows_of(bulk) == told
    assert bulk.checks == fleet.coverage.checks


@pytest.mark.parametrize("inventory", FLEETS.values(), ids=FLEETS)
def test_the_coverage_is_that_of_the_plan_of_objects(inventory: Inventory) -> None:
    told = plan_fleet(inventory, epoch=1, seed=7, interval_ns=1, cookie_key=b"key").coverage
    bulk = plan_as_arrays(inventory, epoch=1, seed=7)
    counted = count_coverage(bulk)
    assert (counted.components, counted.covered) == (told.components, told.covered)
    assert counted.identifiable == told.identifiable
    classes, gaps = count_classes(bulk)
    assert classes == told.traffic
    assert Counter(gaps) == Counter(told.traffic_gaps)


def test_links_that_share_flows_are_refused() -> None:
    inventory = FLEETS["full mesh"]
    links = tuple(replace(link, balanced=True) for link in inventory.links)
    with pytest.raises(MisuseError, match="several routes"):
        plan_as_arrays(replace(inventory, links=links), epoch=1, seed=1)


def test_a_small_fleet_needs_no_arrays() -> None:
    with pytest.raises(MisuseError, match="full mesh"):
        plan_as_arrays(build_inventory(FleetShape(2, 3)), epoch=1, seed=1)
