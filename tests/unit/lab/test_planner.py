"""From topology to plan: hosts and routes, and paths that must never exist."""

from __future__ import annotations

from importlib import resources
from ipaddress import ip_network
from pathlib import Path

import pytest

from netprobe.lab.exports import make_inventory, make_zone
from netprobe.lab.plan import HostRole, LabPlan
from netprobe.lab.planner import plan_lab
from netprobe.lab.topology import load_topology
from netprobe.model.inventory import LinkKind


@pytest.fixture(scope="module")
def plan() -> LabPlan:
    return plan_lab(load_topology(None))


def test_the_same_topology_gives_the_same_plan(plan: LabPlan) -> None:
    assert plan_lab(load_topology(None)) == plan


def test_the_default_has_fourteen_agents_dual_stack(plan: LabPlan) -> None:
    inventory = make_inventory(plan, mechanism="wireguard")
    agents = list(inventory.iter_agents())
    assert len(agents) == 14
    for agent in agents:
        node = inventory.find_node(agent.node_id)
        assert node is not None
        assert [":" in text for text in node.addresses(agent.plane)] == [False, True]


def test_no_address_is_given_twice(plan: LabPlan) -> None:
    texts = [
        one.text.partition("/")[0]
        for host in plan.hosts
        for one in host.addresses
        if not one.text.startswith("fe80:")
    ]
    assert len(texts) == len(set(texts))


def test_an_edge_router_knows_no_way_into_another_cluster(plan: LabPlan) -> None:
    inside = [
        ip_network(text)
        for cluster in plan.clusters
        for text in (*cluster.node_cidrs, *cluster.pod_cidrs, *cluster.service_cidrs)
    ]
    for host in plan.hosts:
        if host.role is not HostRole.EDGE:
            continue
        own = plan.find_cluster(host.cluster)
        assert own is not None
        for route in host.routes:
            to = ip_network(route.to)
            foreign = [one for one in inside if one.version == to.version and one.overlaps(to)]
            assert all(str(one) in own.pod_cidrs for one in foreign), route


@pytest.mark.parametrize("role", [HostRole.EDGE, HostRole.TRANSIT])
def test_no_router_has_a_default_route(plan: LabPlan, role: HostRole) -> None:
    hosts = [host for host in plan.hosts if host.role is role]
    assert hosts
    assert not [route for host in hosts for route in host.routes if route.to in ("0.0.0.0/0", "::/0")]


def test_every_wire_ends_in_a_planned_host(plan: LabPlan) -> None:
    names = {host.name for host in plan.hosts}
    ends = [end for cable in plan.cables for end in (cable.one, cable.other)]
    assert {end.host for end in ends} == names
    assert len({(end.host, end.interface) for end in ends}) == len(ends)
    assert all(len(end.interface) <= 15 for end in ends)  # IFNAMSIZ less its terminating zero


def test_the_inventory_tells_links_and_gateways(plan: LabPlan) -> None:
    inventory = make_inventory(plan, mechanism="wireguard")
    assert [(link.kind, link.mtu, bool(link.outer_port)) for link in inventory.links] == [
        (LinkKind.TUNNEL, 1420, True),
        (LinkKind.TUNNEL, 1420, True),
        (LinkKind.DIRECT, 1500, False),
    ]
    for cluster in inventory.clusters:
        (gateway,) = cluster.gateways
        assert gateway.outer_addresses
        assert cluster.dns_addresses
        assert cluster.services[0].qualified == "netprobe/echo"


def test_a_clusterset_name_stands_for_every_cluster_the_own_one_first(plan: LabPlan) -> None:
    zone = make_zone(plan, plan.clusters[1])
    assert '"echo.netprobe.svc.cluster.local"' in zone
    exported = zone.partition('"echo.netprobe.svc.clusterset.local"')[2]
    assert exported.index("10.212.0.11") < exported.index("10.211.0.11") < exported.index("10.213.0.11")


@pytest.fixture(scope="module")
def equal_paths() -> LabPlan:
    file = resources.files("netprobe.lab").joinpath("topologies/equal-paths.yaml")
    return plan_lab(load_topology(Path(str(file))))


def test_a_gateway_with_two_equal_links_has_one_route_over_both(equal_paths: LabPlan) -> None:
    gateway = equal_paths.host("prod-us-west-1/gw")
    over_links = [route for route in gateway.routes if route.interface.startswith("link")]
    assert {route.interfaces for route in over_links} == {("link0a", "link1a")}
    assert len({route.to for route in over_links}) == len(over_links)
    assert all(":" in via for route in over_links for _, via in route.also if ":" in route.to)


def test_each_of_two_equal_links_is_measured_at_addresses_of_its_own(equal_paths: LabPlan) -> None:
    links = make_inventory(equal_paths, mechanism="wireguard").links
    ends = [link.source_addresses + link.target_addresses for link in links]
    assert all(link.balanced for link in links)
    assert [len(texts) for texts in ends] == [4, 4]
    assert len({*ends[0], *ends[1]}) == 8


def test_a_link_that_shares_nothing_has_no_addresses_of_its_own(plan: LabPlan) -> None:
    links = make_inventory(plan, mechanism="wireguard").links
    assert {(link.balanced, link.source_addresses, link.target_addresses) for link in links} == {
        (False, (), ())
    }
