"""Budgets: variants take turns, base checks stay, and variants left out are counted."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model.component import ComponentKind
from netprobe.model.fleet import FleetPlan
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from tests.scenarios.default_topology import build_inventory

INVENTORY = build_inventory()


def plan(policy: PlanPolicy, *, epoch: int = 1, seed: int = 7) -> FleetPlan:
    return plan_fleet(INVENTORY, epoch=epoch, seed=seed, interval_ns=10**9, cookie_key=b"key", policy=policy)


def charges(fleet: FleetPlan) -> dict[str, Counter[str]]:
    """Probes per interval of every agent, cluster and direction of a link."""
    charged: dict[str, Counter[str]] = {"agent": Counter(), "cluster": Counter(), "tunnel": Counter()}
    legs_of = {legs.check: legs for legs in fleet.legs}
    for each in fleet.plans:
        for check in each.checks:
            charged["agent"][str(each.agent)] += check.count
            charged["cluster"][each.agent.cluster] += check.count
            for part in {*legs_of[check.id].forward, *legs_of[check.id].back}:
                if part.kind is ComponentKind.TUNNEL:
                    charged["tunnel"][str(part)] += check.count
    return charged


def asked(fleet: FleetPlan) -> set[int]:
    return {check.id for each in fleet.plans for check in each.checks}


WHOLE = plan(PlanPolicy())
MOST = {kind: max(charged.values()) for kind, charged in charges(WHOLE).items()}
VARIANTS = {
    check.id
    for each in WHOLE.plans
    for check in each.checks
    if check.target.kind == "agent" and check.count == 1
}


def budget(kind: str, probes: int) -> PlanPolicy:
    return PlanPolicy(
        agent_budget=probes if kind == "agent" else None,
        cluster_budget=probes if kind == "cluster" else None,
        tunnel_budget=probes if kind == "tunnel" else None,
    )


KINDS = pytest.mark.parametrize("kind", ["agent", "cluster", "tunnel"])


@KINDS
def test_a_budget_that_is_just_large_enough_changes_nothing(kind: str) -> None:
    fleet = plan(budget(kind, MOST[kind]))
    assert [each.checks for each in fleet.plans] == [each.checks for each in WHOLE.plans]
    assert fleet.coverage.left_out == 0


@KINDS
def test_one_probe_less_leaves_out_a_variant_and_counts_it(kind: str) -> None:
    fleet = plan(budget(kind, MOST[kind] - 1))
    missing = asked(WHOLE) - asked(fleet)
    assert fleet.coverage.left_out == len(missing) > 0
    assert missing <= VARIANTS
    assert max(charges(fleet)[kind].values()) <= MOST[kind] - 1


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["agent", "cluster", "tunnel"]),
    less=st.integers(0, 400),
    epoch=st.integers(0, 10**6),
    seed=st.integers(0, 99),
)
def test_no_budget_is_ever_exceeded_and_no_base_check_ever_missing(
    kind: str, less: int, epoch: int, seed: int
) -> None:
    limit = max(MOST[kind] - less, 1)
    try:
        fleet = plan(budget(kind, limit), epoch=epoch, seed=seed)
    except InputError as error:
        assert f"the {kind} budget is {limit}" in str(error)
        return
    assert max(charges(fleet)[kind].values()) <= limit
    assert asked(WHOLE) - VARIANTS <= asked(fleet)
    assert fleet.coverage.left_out == len(asked(WHOLE)) - len(asked(fleet))
    assert fleet.coverage.uncovered == ()


def test_every_variant_has_its_turn() -> None:
    policy = budget("agent", MOST["agent"] - 6)
    seen: set[int] = set()
    left_out = 0
    for epoch in range(60):
        fleet = plan(policy, epoch=epoch)
        left_out = max(left_out, fleet.coverage.left_out)
        seen |= asked(fleet)
    assert left_out > 0
    assert seen == asked(WHOLE)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "agent",
            r"agent \S+/(pod|host): the base checks need \d+ probes per interval, but the agent budget is 5",
        ),
        ("cluster", r"cluster prod-us-west-1: the base checks need \d+ .* but the cluster budget is 5"),
        ("tunnel", r"tunnel\(\S+→\S+\): the base checks need \d+ .* but the tunnel budget is 5"),
    ],
)
def test_a_budget_below_the_base_checks_is_one_clear_error(kind: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan(budget(kind, 5))


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="agent budget: 0 is not a positive number of probes"):
        PlanPolicy(agent_budget=0)
