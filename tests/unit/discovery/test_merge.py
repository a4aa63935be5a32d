"""One inventory out of what people wrote, what APIs say and which agents are there."""

from __future__ import annotations

from dataclasses import replace

from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.discovery.merge import (
    NEVER_READ,
    KnownCluster,
    Present,
    merge_inventory,
)
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import AgentId, ClusterName, NodeName

PROD, SITE = ClusterName("prod"), ClusterName("site")
W1 = Node(NodeName("w1"), host_addresses=("192.0.2.1",), pod_addresses=("198.51.100.1",), zone="a")
AGENT = AgentId.parse("prod/w1/pod")
DNS = Service("kube-dns", "kube-system", ("10.96.0.10",), 53, 53, protocol="udp")
FACTS = ClusterFacts(
    Cluster(PROD, (W1,), (DNS,), environment="prod"), "uid", "v1.36", agents=frozenset({AGENT})
)
PLAIN = Node(NodeName("h1"), host_addresses=("203.0.113.1",))
GATEWAY = Node(NodeName("w1"), NodeRole.GATEWAY, outer_addresses=("203.0.113.9",))
WRITTEN = Inventory(
    clusters=(
        Cluster(PROD, (GATEWAY,), pod_mtu=1420),
        Cluster(SITE, (PLAIN,), is_site=True),
    ),
    links=(Link(PROD, SITE, LinkKind.TUNNEL, "wireguard"),),
)  # fmt: skip


def prod(inventory: Inventory) -> Cluster:
    found = inventory.find_cluster("prod")
    assert found is not None
    return found


def made(*, facts: ClusterFacts | None = FACTS, away: str = "", present: Present | None = None) -> Inventory:
    return merge_inventory(WRITTEN, [KnownCluster(PROD, facts, away)], present or {})


def test_without_registered_clusters_what_is_written_counts() -> None:
    assert merge_inventory(WRITTEN, [], {}) is WRITTEN


def test_who_exists_the_api_says_and_what_it_is_for_a_person_says() -> None:
    inventory = made()
    (node,) = prod(inventory).nodes
    assert (node.host_addresses, node.pod_addresses, node.zone) == (("192.0.2.1",), ("198.51.100.1",), "a")
    assert (node.role, node.outer_addresses) == (NodeRole.GATEWAY, ("203.0.113.9",))
    assert (prod(inventory).pod_mtu, prod(inventory).services, prod(inventory).away) == (1420, (DNS,), "")
    assert inventory.links == WRITTEN.links


def test_agents_are_those_whose_pods_run_and_those_that_are_written() -> None:
    assert set(made().iter_agents()) == {AGENT, AgentId.parse("site/h1/host")}


def test_an_api_that_is_away_takes_nobody_away_and_new_agents_are_heard() -> None:
    new = AgentId.parse("prod/w2/pod")
    inventory = made(away="Connection refused", present={AGENT: ("198.51.100.77",), new: ("198.51.100.2",)})
    nodes = {node.name: node for node in prod(inventory).nodes}
    assert prod(inventory).away == "Connection refused"
    assert nodes[W1.name].pod_addresses == ("198.51.100.1",)
    assert nodes[NodeName("w2")].pod_addresses == ("198.51.100.2",)
    assert {AGENT, new} <= set(inventory.iter_agents())


def test_while_the_api_answers_presence_says_nothing_new() -> None:
    assert made(present={AgentId.parse("prod/w2/pod"): ("198.51.100.2",)}) == made()


def test_a_cluster_whose_api_never_answered_is_its_agents() -> None:
    present = {
        AGENT: ("198.51.100.1", "2001:DB8::1"),
        AgentId.parse("prod/w1/host"): ("192.0.2.1",),
        AgentId.parse("other/w1/pod"): ("192.0.2.9",),
    }
    inventory = made(facts=None, present=present)
    (node,) = prod(inventory).nodes
    assert (node.pod_addresses, node.host_addresses) == (("198.51.100.1", "2001:db8::1"), ("192.0.2.1",))
    assert prod(inventory).away == NEVER_READ


def test_addresses_that_lead_nowhere_are_left_out() -> None:
    odd = ("127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1", "node.example", "198.51.100.3")
    inventory = made(facts=None, present={AGENT: odd})
    assert prod(inventory).nodes[0].pod_addresses == ("198.51.100.3",)
    facts = replace(FACTS, cluster=replace(FACTS.cluster, nodes=(replace(W1, host_addresses=odd),)))
    assert prod(made(facts=facts)).nodes[0].host_addresses == ("198.51.100.3",)


def test_an_agent_cannot_point_the_fleet_at_somebody_else() -> None:
    ranged = replace(FACTS, cluster=replace(FACTS.cluster, pod_cidrs=("198.51.100.0/24", "2001:db8::/64")))
    pod, host = AgentId.parse("prod/w2/pod"), AgentId.parse("prod/w3/host")
    present = {pod: ("203.0.113.7", "198.51.100.2", "2001:db8:9::1", "2001:db8::2"), host: ("203.0.113.8",)}
    nodes = {node.name: node for node in prod(made(facts=ranged, away="away", present=present)).nodes}
    assert nodes[NodeName("w2")].pod_addresses == ("198.51.100.2", "2001:db8::2")
    assert nodes[NodeName("w3")].host_addresses == ()
    near = {host: ("192.0.7.9",)}
    nodes = {node.name: node for node in prod(made(facts=ranged, away="away", present=near)).nodes}
    assert nodes[NodeName("w3")].host_addresses == ("192.0.7.9",)


def test_ranges_that_a_person_wrote_count_where_the_api_never_answered() -> None:
    written = replace(WRITTEN, clusters=(Cluster(PROD, (W1,), pod_cidrs=("198.51.100.0/24",)),))
    present = {AGENT: ("203.0.113.7", "198.51.100.1"), AgentId.parse("prod/w2/host"): ("203.0.113.8",)}
    inventory = merge_inventory(written, [KnownCluster(PROD, None)], present)
    nodes = {node.name: node for node in prod(inventory).nodes}
    assert nodes[W1.name].pod_addresses == ("198.51.100.1",)
    assert nodes[NodeName("w2")].host_addresses == ()


def test_where_no_range_is_known_agents_are_believed() -> None:
    inventory = made(facts=None, present={AGENT: ("203.0.113.7",)})
    assert prod(inventory).nodes[0].pod_addresses == ("203.0.113.7",)
