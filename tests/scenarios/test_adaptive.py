"""What a thin plan cannot tell apart is asked on demand until one part is left, or the budget ends."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.plan.index import CheckFacts, PlanIndex, aspect_of
from netprobe.collector.adaptive_checks import BUDGET, is_ambiguous, narrow_down
from netprobe.model.check import Check
from netprobe.model.component import Component, node_out, pod_out
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, NodeId
from netprobe.planning.checks import ask_pair
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.pairs import AgentPair
from netprobe.planning.policy import PlanPolicy
from netprobe.simulate.effects import Lose, SimulatedFault
from netprobe.simulate.world import World
from tests.scenarios.default_topology import build_inventory
from tests.scenarios.player import SECOND, T0

NODE = NodeId.parse("prod-us-west-1/w1")
POLICY = PlanPolicy(full_mesh_nodes=0, with_host_plane=False, with_variants=False)
"""Only pods ask, so a node and its pods' way out of it look the same."""
BREAK_S, INTERVALS = 6, 14


@cache
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory()
    plan = plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key", policy=POLICY)
    return inventory, plan


class Asked:
    """Answers checks on demand as the simulated fleet would, and remembers them."""

    def __init__(self, part: Component) -> None:
        self.part = part
        self.checks: list[Check] = []
        self.fabric = ClusterGraph(fleet()[0])

    async def __call__(self, check: Check) -> bool | None:
        self.checks.append(check)
        target = AgentId.parse(check.target.name)
        asked = ask_pair(self.fabric, AgentPair(check.source, target, rich=False), POLICY)
        legs = next(question.legs for question in asked if question.check.id == check.id)
        facts = CheckFacts(0, check, legs, aspect_of(check), target)
        return self.part not in (*facts.legs.forward, *facts.legs.back)


def play(part: Component) -> tuple[Analyst, Finding]:
    """The fleet until its plan has named what it can name of a dead *part*."""
    inventory, plan = fleet()
    fault = SimulatedFault(
        "dead", GroundTruth(Cause.UNKNOWN, (part,)), (Lose(part),), T0 + BREAK_S * SECOND, T0 + 100 * SECOND
    )
    analyst = Analyst(inventory, plan)
    world = World(PlanIndex(inventory, plan), (fault,), seed=4, start_ns=T0)
    for delivery in world.play(start_ns=T0, intervals=INTERVALS):
        analyst.observe(delivery.report, now_ns=delivery.at_ns)  # type: ignore[arg-type]
    (finding,) = analyst.conclude(now_ns=T0 + (INTERVALS + 3) * SECOND).findings
    return analyst, finding


@pytest.mark.parametrize("part", [node_out(NODE), pod_out(NODE)], ids=str)
def test_the_round_ends_with_the_part_that_is_broken(part: Component) -> None:
    analyst, finding = play(part)
    assert is_ambiguous(finding)
    assert part in (*finding.components, *finding.indistinguishable)
    asked = Asked(part)
    able = frozenset(fleet()[0].iter_agents())
    narrowed = asyncio.run(narrow_down(finding, asked.fabric, able=able, ask=asked))
    assert narrowed.left == (part,)
    assert 0 < len(asked.checks) <= BUDGET
    assert analyst.narrow(finding.id, narrowed.left, narrowed.answers)
    (after,) = analyst.conclude(now_ns=T0 + (INTERVALS + 3) * SECOND).findings
    assert (after.id, after.components, after.indistinguishable) == (finding.id, (part,), ())
    assert [str(each.text) for each in after.evidence_for[-len(narrowed.answers) :]] == list(narrowed.answers)


def test_without_a_budget_or_without_agents_nothing_is_asked_and_nothing_is_claimed() -> None:
    _, finding = play(node_out(NODE))
    asked = Asked(node_out(NODE))
    every = frozenset(fleet()[0].iter_agents())
    for able, budget in ((every, 0), (frozenset[AgentId](), BUDGET)):
        narrowed = asyncio.run(narrow_down(finding, asked.fabric, able=able, ask=asked, budget=budget))
        assert set(narrowed.left) == {*finding.components, *finding.indistinguishable}
        assert narrowed.answers == ()
    assert asked.checks == []


def test_an_answer_nobody_could_give_tells_nothing() -> None:
    _, finding = play(node_out(NODE))
    asked = 0

    async def away(check: Check) -> bool | None:
        nonlocal asked
        asked += 1
        return None

    able = frozenset(fleet()[0].iter_agents())
    narrowed = asyncio.run(narrow_down(finding, ClusterGraph(fleet()[0]), able=able, ask=away))
    assert set(narrowed.left) == {*finding.components, *finding.indistinguishable}
    assert 0 < asked <= BUDGET


def test_a_finding_that_is_over_is_not_narrowed() -> None:
    analyst, finding = play(node_out(NODE))
    assert not analyst.narrow("another finding", finding.components, ())
