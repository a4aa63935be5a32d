"""Whom a finding hits: everything that crosses the broken part and fails for it, in whatever way it asks."""

from __future__ import annotations

from collections import Counter

import pytest

from netprobe.analysis.plan.index import Aspect, PlanIndex
from tests.scenarios.player import (
    at,
    default_fleet,
    play,
    strike,
)

PROD, STAGING = "prod-us-west-1", "staging-eu-central-1"
EVERY = {Aspect.ICMP, Aspect.UDP, Aspect.TCP, Aspect.LARGE}


@pytest.mark.parametrize(
    ("kind", "aspects"),
    [("tunnel-down", EVERY), ("mtu-black-hole", {Aspect.LARGE})],
)
def test_all_checks_over_a_link_that_cannot_pass_are_hit_and_no_others(
    kind: str, aspects: set[Aspect]
) -> None:
    broken = at(strike(kind, source=PROD, target=STAGING), 8.4, end_s=30)
    outcome = play([broken], seed=3, intervals=16, keep=True)
    (finding,) = outcome.conclusions[-1][1].findings
    facts = PlanIndex(*default_fleet())
    crossing = frozenset[int]().union(*(facts.crossing[part] for part in broken.label.components))
    meant = [facts.checks[number] for number in crossing if facts.checks[number].aspect in aspects]
    hit = Counter(facts.by_id[check].aspect for check in finding.affected)
    assert {*finding.affected} >= {check.check.id for check in meant}
    assert {*finding.affected} <= {facts.checks[number].check.id for number in crossing}
    assert set(hit) >= aspects
    if kind == "mtu-black-hole":
        assert set(hit) == aspects, "ordinary packets pass"
