"""Clusters joined by routes alone."""

from __future__ import annotations

from netprobe.discovery.inventory.flat_mesh import join_flat
from netprobe.discovery.k8s.schema import (
    EndpointSlice,
    Meta,
    ServiceObject,
    ServiceObjectSpec,
    ServicePort,
)
from netprobe.discovery.k8s.services import ASK_LABEL, find_services
from netprobe.model.inventory import Cluster, Inventory, Node, NodeRole
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.routes import find_routes

EAST = Cluster(ClusterName("east"), (Node(NodeName("a")), Node(NodeName("b"))))
WEST = Cluster(ClusterName("west"), (Node(NodeName("c")),))
EMPTY = Cluster(ClusterName("empty"))


def test_every_two_clusters_with_nodes_are_joined_once() -> None:
    joined = join_flat(Inventory((EAST, WEST, EMPTY)))
    assert [(link.source, link.target) for link in joined.links] == [("east", "west")]
    assert {node.role for cluster in joined.clusters for node in cluster.nodes} == {NodeRole.GATEWAY}


def test_no_node_goes_through_another() -> None:
    fabric = ClusterGraph(join_flat(Inventory((EAST, WEST))))
    route, *_ = find_routes(fabric, source=AgentId.parse("east/b/pod"), target=AgentId.parse("west/c/pod"))
    assert not any("east/a" in str(part) for part in route)


def service(name: str, port: ServicePort) -> ServiceObject:
    meta = Meta(name=name, namespace="shop", labels={ASK_LABEL: "true"})
    return ServiceObject(metadata=meta, spec=ServiceObjectSpec(cluster_ips=("10.9.0.7",), ports=(port,)))


def test_only_what_says_so_is_asked_in_http() -> None:
    ports = {
        "named": ServicePort(80, name="http"),
        "longer": ServicePort(80, name="http-metrics"),
        "said": ServicePort(80, app_protocol="HTTP"),
        "secure": ServicePort(443, name="https"),
        "mute": ServicePort(80),
        "other": ServicePort(80, name="http", app_protocol="postgresql"),
    }
    none: tuple[EndpointSlice, ...] = ()
    found = find_services([service(name, port) for name, port in ports.items()], none)
    assert {one.name for one in found if one.speaks == "http"} == {"named", "longer", "said"}
