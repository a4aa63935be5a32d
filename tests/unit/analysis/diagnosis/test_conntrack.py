"""A full connection table is known by what it lets live as much as by what it drops."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from netprobe.analysis.diagnosis.conntrack import find_full_tables
from netprobe.analysis.intervals.assembler import Interval
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.finding import Cause
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Window
from tests.scenarios.player import SECOND, T0, default_fleet

NODE = "prod-us-west-1/w1"
NEW, OLD = {Aspect.TCP, Aspect.NEW_FLOW, Aspect.SERVICE, Aspect.DNS}, {Aspect.ICMP, Aspect.UDP}
Fate = Callable[[CheckFacts], OutcomeKind]


@cache
def facts() -> PlanIndex:
    return PlanIndex(*default_fleet())


def is_ours(check: CheckFacts) -> bool:
    return str(check.source.node_id) == NODE and (check.asked is None or str(check.asked.node_id) != NODE)


def full(check: CheckFacts) -> OutcomeKind:
    """What a full table on the node lets through."""
    return OutcomeKind.TIMED_OUT if is_ours(check) and check.aspect in NEW else OutcomeKind.REACHED


def look(fate: Fate) -> IntervalObservation:
    frame = Interval(T0, SECOND)
    frame.health = {agent: AgentHealth(agent, T0, 1) for agent in facts().agents}
    for check in facts().checks:
        outcome, count = fate(check), check.check.count
        reached = count if outcome is OutcomeKind.REACHED else 0
        frame.windows[check.number] = Window(check.check.id, T0, SECOND, count, reached, ((outcome, count),))
    return observe_interval(frame, facts(), known=facts().agent_set)


def test_new_flows_silent_and_old_ones_alive_is_a_full_table() -> None:
    (found,) = find_full_tables(look(full), facts(), ignored=frozenset())
    assert (found.row.id, found.cause) == ("conntrack-full", Cause.CONNTRACK_FULL)
    assert [str(part) for part in found.components] == [f"node-out({NODE})"]
    assert {facts().checks[number].aspect for number in found.core} == NEW
    assert found.core <= found.explained


OTHERWISE: dict[str, Fate] = {
    "old flows are lost as well": lambda c: OutcomeKind.TIMED_OUT if is_ours(c) else OutcomeKind.REACHED,
    "names are answered": lambda c: OutcomeKind.REACHED if c.aspect is Aspect.DNS else full(c),
    "services are answered": lambda c: OutcomeKind.REACHED if c.aspect is Aspect.SERVICE else full(c),
    "the target refuses": lambda c: OutcomeKind.REFUSED if is_ours(c) and c.aspect is Aspect.TCP else full(c),
    "no check connects to those ports": lambda c: (
        OutcomeKind.TIMED_OUT if c.aspect is Aspect.TCP else full(c)
    ),
    "all is well": lambda _: OutcomeKind.REACHED,
}


@pytest.mark.parametrize("fate", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_anything_else_is_none(fate: Fate) -> None:
    assert find_full_tables(look(fate), facts(), ignored=frozenset()) == ()
