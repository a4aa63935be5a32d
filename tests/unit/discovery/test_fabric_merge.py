"""Inventory and claims out of what fabrics say: no written topology, and a person's word first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netprobe.discovery.fabric_merge import ASSUMED_MTU, find_claims
from netprobe.discovery.fabrics import submariner
from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.discovery.merge import KnownCluster, merge_inventory
from netprobe.model.fabric import Claim, ClaimKind, FabricFacts
from netprobe.model.inventory import Cluster, Inventory, KnownFrom, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.fleet_plan import plan_fleet
from tests.unit.discovery.fabrics import submariner_objects as made
from tests.unit.discovery.fabrics.readings import read

PROD, STAGING = ClusterName("prod"), ClusterName("staging")
EAST_GW, WEST_GW = NodeName("east-gw"), NodeName("west-gw")
MEMBERS = {PROD: "east", STAGING: "west"}


def node(name: str, host: str, pod: str) -> Node:
    return Node(NodeName(name), host_addresses=(host,), pod_addresses=(pod,), known_from=KnownFrom.API)


NODES = {
    PROD: (node("east-gw", "192.0.2.11", "10.1.0.2"), node("east-w1", "192.0.2.12", "10.1.1.2")),
    STAGING: (node("west-gw", "198.51.100.21", "10.2.0.2"), node("west-w1", "198.51.100.22", "10.2.1.2")),
}


def fabric(own: str, **items: list[Any]) -> FabricFacts:
    """What Submariner says in cluster *own*, which is joined to the other one."""
    peer = "west" if own == "east" else "east"
    said = {
        "gateways": [made.gateway(own, made.connection(peer))],
        "endpoints": [made.endpoint("east"), made.endpoint("west")],
        "clusters": [made.cluster("east"), made.cluster("west")],
        "routeagents": [made.route_agent(f"{own}-w1", peer)],
    }
    return read(submariner, said | items)


def known(name: ClusterName, *fabrics: FabricFacts, nodes: tuple[Node, ...] | None = None) -> KnownCluster:
    there = NODES[name] if nodes is None else nodes
    return KnownCluster(name, ClusterFacts(Cluster(name, there), f"uid-{name}", "v1.36"), fabrics=fabrics)


def both(**more: FabricFacts) -> list[KnownCluster]:
    return [known(name, more.get(name, fabric(member))) for name, member in MEMBERS.items()]


def nodes_of(inventory: Inventory, cluster: ClusterName) -> dict[str, Node]:
    found = inventory.find_cluster(cluster)
    assert found is not None
    return {str(node.name): node for node in found.nodes}


LINK = Link(
    PROD, STAGING, LinkKind.TUNNEL, "ipsec", EAST_GW, WEST_GW, ASSUMED_MTU, 4501, carries_hosts=False,
    known_from="Submariner",
)  # fmt: skip


def test_two_clusters_need_no_written_topology() -> None:
    inventory = merge_inventory(Inventory(), both(), {})
    assert inventory.links == (LINK,)
    gateway, worker = (nodes_of(inventory, PROD)[name] for name in ("east-gw", "east-w1"))
    assert (gateway.role, gateway.passive, gateway.outer_addresses) == (
        NodeRole.GATEWAY,
        False,
        ("192.0.2.11",),
    )
    assert (gateway.known_from, worker.known_from) == ("Submariner", "Kubernetes API")
    assert worker.role is NodeRole.WORKER
    cluster = inventory.find_cluster(STAGING)
    assert cluster is not None
    assert (cluster.pod_cidrs, cluster.service_cidrs) == (("10.2.0.0/16",), ("10.92.0.0/16",))


def test_what_comes_out_can_be_planned_over_the_link() -> None:
    inventory = merge_inventory(Inventory(), both(), {})
    fleet = plan_fleet(inventory, epoch=1, seed=1, interval_ns=10**10, cookie_key=b"key")
    assert fleet.coverage.unjoined == ()
    crossed = {str(part) for legs in fleet.legs for part in legs.crossed}
    assert {"tunnel(prod→staging)", "tunnel(staging→prod)", "underlay(prod→staging)"} <= crossed


def test_one_readable_end_is_enough_for_the_link() -> None:
    half = [known(PROD, fabric("east")), known(ClusterName("west"), nodes=NODES[STAGING])]
    (link,) = merge_inventory(Inventory(), half, {}).links
    assert (link.source, link.target, link.target_gateway) == (PROD, "west", WEST_GW)


def test_a_link_that_a_person_wrote_is_the_only_one_and_stays_as_written() -> None:
    by_hand = Link(STAGING, PROD, LinkKind.TUNNEL, "openvpn", mtu=1400)
    written = Inventory((Cluster(PROD), Cluster(STAGING)), (by_hand,))
    assert merge_inventory(written, both(), {}).links == (by_hand,)


def test_gateways_that_a_person_named_are_all_there_are() -> None:
    by_hand = Node(NodeName("east-w1"), NodeRole.GATEWAY, outer_addresses=("203.0.113.77",))
    inventory = merge_inventory(Inventory((Cluster(PROD, (by_hand,)),)), both(), {})
    gateway, worker = (nodes_of(inventory, PROD)[name] for name in ("east-w1", "east-gw"))
    assert (gateway.role, gateway.outer_addresses, gateway.known_from) == (
        NodeRole.GATEWAY,
        ("203.0.113.77",),
        "inventory file",
    )
    assert (worker.role, worker.known_from) == (NodeRole.WORKER, "Kubernetes API")


def test_a_node_that_a_person_mentions_without_a_role_may_get_one() -> None:
    written = Inventory((Cluster(PROD, (Node(EAST_GW),), pod_mtu=1370),))
    inventory = merge_inventory(written, both(), {})
    assert nodes_of(inventory, PROD)["east-gw"].role is NodeRole.GATEWAY
    assert inventory.links == (LINK,)


def test_a_gateway_is_found_by_its_address_or_without_its_domain() -> None:
    renamed = (replace(NODES[PROD][0], name=NodeName("ip-192-0-2-11")), NODES[PROD][1])
    domain = (
        replace(NODES[PROD][0], name=NodeName("east-gw.example.net"), host_addresses=("192.0.2.99",)),
        NODES[PROD][1],
    )
    for nodes, name in ((renamed, "ip-192-0-2-11"), (domain, "east-gw.example.net")):
        clusters = [known(PROD, fabric("east"), nodes=nodes), known(STAGING, fabric("west"))]
        inventory = merge_inventory(Inventory(), clusters, {})
        assert nodes_of(inventory, PROD)[name].role is NodeRole.GATEWAY
        assert inventory.links[0].source_gateway == name


def test_of_two_active_gateways_the_one_that_still_writes_is_active() -> None:
    dead = made.gateway("east", written_s=made.WRITTEN_S - 600)
    dead["status"]["localEndpoint"] |= {"hostname": "east-w1", "privateIPs": ["192.0.2.12"]}
    dead["metadata"]["name"] = "east-w1"
    said = fabric("east", gateways=[dead, made.gateway("east", made.connection("west"))])
    nodes = nodes_of(merge_inventory(Inventory(), both(prod=said), {}), PROD)
    assert [(node.role, node.passive) for node in (nodes["east-gw"], nodes["east-w1"])] == [
        (NodeRole.GATEWAY, False),
        (NodeRole.GATEWAY, True),
    ]


def test_a_cluster_id_that_two_clusters_claim_names_neither() -> None:
    twice = [known(PROD, fabric("east")), known(STAGING, fabric("east"))]
    inventory = merge_inventory(Inventory(), twice, {})
    assert inventory.links == ()
    assert all(node.role is NodeRole.WORKER for cluster in inventory.clusters for node in cluster.nodes)


def test_a_link_to_nowhere_or_to_itself_is_left_out() -> None:
    lonely = [known(PROD, fabric("east"))]
    assert merge_inventory(Inventory(), lonely, {}).links == ()
    empty = [known(PROD, fabric("east")), known(STAGING, fabric("west"), nodes=())]
    assert merge_inventory(Inventory(), empty, {}).links == ()


def test_over_remapped_ranges_nothing_is_asked_and_that_is_said() -> None:
    clusters = [made.cluster("east", global_cidr=("242.0.0.0/16",)), made.cluster("west")]
    inventory = merge_inventory(Inventory(), both(prod=fabric("east", clusters=clusters)), {})
    assert [link.is_remapped for link in inventory.links] == [True]
    assert ClusterGraph(inventory).hops_from(PROD) == ()
    fleet = plan_fleet(inventory, epoch=1, seed=1, interval_ns=10**10, cookie_key=b"key")
    assert fleet.coverage.unjoined == ((PROD, STAGING),)
    found = inventory.find_cluster(PROD)
    assert found is not None
    assert found.remapped_cidrs == ("242.0.0.0/16",)


def test_the_time_of_writing_does_not_change_the_inventory() -> None:
    later = fabric("east", gateways=[made.gateway("east", made.connection("west", rtt="2ms"),
                                                  written_s=made.WRITTEN_S + 5)])  # fmt: skip
    assert merge_inventory(Inventory(), both(prod=later), {}) == merge_inventory(Inventory(), both(), {})


def test_without_fabrics_nothing_is_different() -> None:
    plain = [known(PROD), known(STAGING)]
    inventory = merge_inventory(Inventory(), plain, {})
    assert inventory.links == ()
    assert {node.known_from for node in nodes_of(inventory, PROD).values()} == {"Kubernetes API"}


def claims(reported: Mapping[ClusterName, FabricFacts]) -> tuple[Claim, ...]:
    return find_claims({name: (facts,) for name, facts in reported.items()}, MEMBERS)


def test_claims_carry_our_names() -> None:
    found = claims({PROD: fabric("east"), STAGING: fabric("west")})
    assert [(one.kind, one.subject.source, one.subject.target, one.subject.node) for one in found] == [
        (ClaimKind.SUBMARINER_CONNECTION, "prod", "staging", ""),
        (ClaimKind.SUBMARINER_ROUTE_AGENT, "prod", "staging", "east-w1"),
        (ClaimKind.SUBMARINER_CONNECTION, "staging", "prod", ""),
        (ClaimKind.SUBMARINER_ROUTE_AGENT, "staging", "prod", "west-w1"),
    ]


def test_a_claim_about_a_cluster_that_is_not_ours_is_left_out() -> None:
    assert find_claims({PROD: (fabric("east"),)}, [PROD]) == ()
