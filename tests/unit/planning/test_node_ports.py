"""Node ports and services without HTTP: how they are asked, and the components they cross."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from netprobe.model.check import Layer
from netprobe.model.inventory import Cluster, Inventory, Node, Service
from netprobe.model.names import ClusterName, NodeName
from netprobe.planning.fleet_plan import plan_fleet

NODES = (
    Node(NodeName("a"), host_addresses=("192.0.2.1",), pod_addresses=("198.51.100.1",)),
    Node(NodeName("b"), host_addresses=("192.0.2.2",), pod_addresses=("198.51.100.2",)),
)
PLAIN = Service("db", "shop", ("203.0.113.7",), 5432, 5432, speaks="")
AT_B = Service("web", "shop", ("192.0.2.2",), 30080, 8080, node=NodeName("b"))


def legs_of(asked: Service) -> dict[str, tuple[str, ...]]:
    """Components of the leg out by the node that asks."""
    cluster = Cluster(ClusterName("east"), NODES, services=(asked,))
    plan = plan_fleet(
        Inventory((cluster,)), epoch=1, seed=1, interval_ns=10**9, cookie_key=b"k" * 16
    )  # fmt: skip
    legs = {found.check: found for found in plan.legs}
    return {
        str(check.source.node): (check.probe.kind, *map(str, legs[check.id].forward))
        for one in plan.plans
        for check in one.checks
        if check.layer is Layer.SERVICE
    }


def test_a_service_that_speaks_no_http_is_only_connected_to() -> None:
    assert legs_of(PLAIN)["a"] == ("tcp", "service-proxy(east/a)", "service(east shop/db)")


def test_a_node_port_is_forwarded_by_its_own_node() -> None:
    leg = ("http", "service-proxy(east/b)", "service(east shop/web)", "firewall-rule(east/b tcp/30080)")
    assert legs_of(AT_B) == {"a": leg, "b": leg}


def test_in_a_large_cluster_a_node_asks_the_ports_of_a_few_others() -> None:
    names = [f"n{number:02}" for number in range(20)]
    nodes = tuple(Node(NodeName(name), host_addresses=(f"192.0.2.{at}",)) for at, name in enumerate(names, 1))
    ports = tuple(
        replace(AT_B, name=f"web-at-{node.name}", node=node.name, addresses=node.host_addresses)
        for node in nodes
    )
    cluster = Cluster(ClusterName("east"), nodes, services=ports)
    plan = plan_fleet(Inventory((cluster,)), epoch=1, seed=1, interval_ns=10**9, cookie_key=b"k" * 16)
    asked = Counter(
        (str(one.agent.node), check.target.name.rpartition("-at-")[2])
        for one in plan.plans
        for check in one.checks
        if check.layer is Layer.SERVICE
    )
    per_node = {name: {there for here, there in asked if here == name} for name in names}
    assert per_node["n18"] == {"n18", "n19", "n00", "n01", "n02"}
    assert {len(found) for found in per_node.values()} == {5}
    assert all(sum(name in found for found in per_node.values()) == 5 for name in names)
