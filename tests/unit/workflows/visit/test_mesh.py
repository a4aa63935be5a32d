"""How the clusters of a visit are joined: as their fabric says, and flat where none says anything."""

from __future__ import annotations

from typing import cast

from netprobe.deploy.visit.lifecycle import Visit
from netprobe.discovery.k8s.client import ClusterApi
from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.model.fabric import FabricFacts, UnreadField
from netprobe.model.inventory import Cluster, Inventory, NodeRole
from netprobe.model.names import AgentId, ClusterName
from netprobe.workflows.visit.mesh import build_inventory
from netprobe.workflows.visit.session import VisitSession, VisitSettings
from tests.unit.discovery.test_fabric_merge import MEMBERS, NODES, fabric


def session(fabrics: dict[ClusterName, tuple[FabricFacts, ...]]) -> VisitSession:
    visit = Visit(cast("ClusterApi", None), "netprobe-verify-1", (), ())
    facts = tuple(
        ClusterFacts(
            Cluster(name, nodes), "", "",
            agents=frozenset(AgentId.parse(f"{name}/{node.name}/pod") for node in nodes),
        )
        for name, nodes in NODES.items()
    )  # fmt: skip
    return VisitSession(VisitSettings("none"), dict.fromkeys(NODES, visit), facts, fabrics)


def gateways(inventory: Inventory) -> list[str]:
    return [
        str(c.node_id(node)) for c in inventory.clusters for node in c.nodes if node.role is NodeRole.GATEWAY
    ]


def test_a_fabric_says_how_the_clusters_of_a_visit_are_joined() -> None:
    staying = session({name: (fabric(member),) for name, member in MEMBERS.items()})
    inventory = build_inventory(staying)
    assert gateways(inventory) == ["prod/east-gw", "staging/west-gw"]
    assert [(link.mechanism, link.known_from) for link in inventory.links] == [("ipsec", "Submariner")]


def test_without_a_fabric_every_node_is_its_own_way() -> None:
    inventory = build_inventory(session({}))
    assert len(gateways(inventory)) == 4
    assert [(link.mechanism, link.known_from) for link in inventory.links] == [("direct", "flat option")]


def test_what_of_a_fabric_could_not_be_read_is_said() -> None:
    unread = UnreadField("gateways.submariner.io", "", "cannot be listed")
    staying = session({ClusterName("prod"): (FabricFacts("Submariner", unread=(unread,)),)})
    assert list(staying.unread()) == ["prod: Submariner: gateways.submariner.io: cannot be listed"]
