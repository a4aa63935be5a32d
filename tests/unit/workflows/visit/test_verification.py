"""Which ends a visit has: none that the visit itself brought, and none left out in silence."""

from __future__ import annotations

from typing import cast

from netprobe.deploy.visit.lifecycle import Visit
from netprobe.discovery.k8s.client import ClusterApi
from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.model.intent import Group, Intent
from netprobe.model.inventory import Cluster, Inventory, Node, Service
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.workflows.visit.session import VisitSession, VisitSettings
from netprobe.workflows.visit.verification import build_inventory, plan_answering

NAME, OWN = ClusterName("x"), "netprobe-verify-1"
RUNNING = AgentId.parse("x/n1/pod")
NODES = (
    Node(NodeName("n1"), host_addresses=("10.0.0.1",), pod_addresses=("10.1.0.1",)),
    Node(NodeName("n2"), host_addresses=("10.0.0.2",)),
)
SERVICES = (
    Service("probe", OWN, ("10.9.0.8",), 9771, 9771),
    Service("kubernetes", "default", ("10.9.0.1",), 443, 6443),
)
INTENT = Intent((Group("far", cidrs=("192.0.2.7/32", "198.51.100.0/24")), Group("near", cidrs=("::1/128",))))


def inventory() -> Inventory:
    facts = ClusterFacts(Cluster(NAME, NODES, SERVICES), "", "", agents=frozenset({RUNNING}))
    visit = Visit(cast("ClusterApi", None), OWN, (), ())
    return build_inventory(VisitSession(VisitSettings("none"), {NAME: visit}, (facts,)), INTENT)


def test_a_node_whose_agent_does_not_run_is_not_forgotten() -> None:
    assert [str(agent) for agent in inventory().iter_agents()] == ["x/n1/pod", "x/n1/host", "x/n2/host"]


def test_services_of_the_visit_itself_are_nobodys_target() -> None:
    (cluster,) = inventory().clusters
    assert [service.qualified for service in cluster.services] == ["default/kubernetes"]


def test_everybody_there_and_single_addresses_of_the_intent_may_be_asked() -> None:
    (plan,) = plan_answering(inventory(), [RUNNING], interval_ns=5)
    assert (plan.agent, plan.checks, plan.interval_ns) == (RUNNING, (), 5)
    assert set(plan.askable) == {
        "10.0.0.1/32", "10.0.0.2/32", "10.1.0.1/32", "10.9.0.1/32", "192.0.2.7/32", "::1/128"
    }  # fmt: skip
