"""Agents that answer and do not report: named by the smallest place that holds them all."""

from __future__ import annotations

from functools import cache

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.diagnosis.nodes import find_cut_off_agents
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.names import AgentId
from netprobe.model.window import Report
from netprobe.simulate.world import World
from tests.scenarios.player import T0, default_fleet

INDEX = PlanIndex(*default_fleet())
STAGING = frozenset(agent for agent in INDEX.agents if agent.cluster == "staging-eu-central-1")


@cache
def healthy() -> IntervalObservation:
    """An interval in which everything was answered."""
    analyst = Analyst(*default_fleet())
    for delivery in World(INDEX, (), seed=1, start_ns=T0).play(start_ns=T0, intervals=6):
        assert isinstance(delivery.report, Report)
        analyst.observe(delivery.report, now_ns=delivery.at_ns)
    analyst.conclude(now_ns=T0 + 9 * 10**9)
    return analyst._observations[-1]


def named(*agents: AgentId) -> list[str]:
    return [str(one.components[0]) for one in find_cut_off_agents(healthy(), INDEX, frozenset(agents))]


def test_one_agent_is_named_alone() -> None:
    agent = AgentId.parse("prod-us-west-1/w1/pod")
    assert named(agent) == [f"bus-way({agent})"]


def test_all_agents_of_a_node_are_the_nodes_way() -> None:
    agents = [agent for agent in INDEX.agents if str(agent.node_id) == "prod-us-west-1/w1"]
    assert named(*agents) == ["bus-way(prod-us-west-1/w1)"]


def test_all_agents_of_a_cluster_are_the_clusters_way() -> None:
    assert named(*STAGING) == ["bus-way(staging-eu-central-1)"]


def test_a_cluster_of_which_one_agent_reports_is_named_by_its_nodes() -> None:
    reporting = AgentId.parse("staging-eu-central-1/w1/host")
    assert named(*STAGING - {reporting}) == [
        "bus-way(staging-eu-central-1/gw)",
        "bus-way(staging-eu-central-1/w1/pod)",
    ]


def test_the_sentence_says_whether_one_agent_answers_or_several() -> None:
    (one,) = find_cut_off_agents(healthy(), INDEX, frozenset({AgentId.parse("prod-us-west-1/w1/pod")}))
    (many,) = find_cut_off_agents(healthy(), INDEX, STAGING)
    assert "though its agent answers others" in str(one.summary)
    assert "though its agents answer others" in str(many.summary)
