"""What is wrong with a report is counted with its reason, and nothing else stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from netprobe.analysis.analyst import Analyst
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.planning.fleet_plan import plan_fleet
from tests.scenarios.default_topology import build_inventory

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND


@pytest.fixture(scope="module")
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory()
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key")


def report_of(fleet: FleetPlan, *, start_ns: int = T0, sequence: int = 1, number: int = 0) -> Report:
    """A healthy report of the first agent with a window of its first check."""
    plan = fleet.plans[number]
    window = Window(
        plan.checks[0].id,
        start_ns,
        SECOND,
        3,
        3,
        ((OutcomeKind.REACHED, 3),),
        rtt=Histogram.of([500, 600, 700]),
    )
    health = AgentHealth(plan.agent, start_ns + SECOND, 1)
    return Report(plan.agent, 1, sequence, "boot", start_ns, SECOND, (window,), (), health)


def with_window(**changes: object) -> Callable[[Report], Report]:
    def change(report: Report) -> Report:
        return replace(report, windows=(structs.replace(report.windows[0], **changes),))

    return change


SPOILED: dict[str, tuple[Callable[[Report], Report], str]] = {
    "a check that does not exist": (with_window(check=CheckId(7)), "unknown check"),
    "less than nothing": (with_window(sent=-1), "negative count"),
    "a negative loss": (with_window(lost_out=-1), "negative count"),
    "more answers than questions": (with_window(answered=4), "more outcomes than probes"),
    "another interval": (with_window(start_ns=T0 - SECOND), "window outside its report"),
    "a stranger": (lambda r: replace(r, agent=AgentId.parse("mars/w1/pod")), "unknown agent"),
    "another time than its windows": (
        lambda r: replace(r, start_ns=T0 + 3600 * SECOND),
        "window outside its report",
    ),
    "not aligned": (lambda r: replace(r, start_ns=T0 + 1), "not an interval of this plan"),
    "another length": (lambda r: replace(r, length_ns=2 * SECOND), "not an interval of this plan"),
    "heard less than nothing": (
        lambda r: replace(r, heard=(ReceivedCount(r.windows[0].check, T0, -5),)),
        "negative count",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), SPOILED.values(), ids=SPOILED.keys())
def test_a_bad_window_is_rejected_with_its_reason(
    fleet: tuple[Inventory, FleetPlan], spoil: Callable[[Report], Report], reason: str
) -> None:
    inventory, plans = fleet
    analyst = Analyst(inventory, plans)
    analyst.observe(spoil(report_of(plans)), now_ns=T0 + 2 * SECOND)
    assert dict(analyst.rejected) == {reason: 1}


def test_a_bad_window_leaves_the_good_ones_of_its_report(fleet: tuple[Inventory, FleetPlan]) -> None:
    inventory, plans = fleet
    analyst = Analyst(inventory, plans)
    good = report_of(plans)
    analyst.observe(
        replace(good, windows=(structs.replace(good.windows[0], check=CheckId(7)), good.windows[0])),
        now_ns=T0,
    )
    said = analyst.conclude(now_ns=T0 + 4 * SECOND)
    assert sum(status.sent for status in said.paths) == 3


def test_the_check_of_another_agent_is_not_believed(fleet: tuple[Inventory, FleetPlan]) -> None:
    inventory, plans = fleet
    analyst = Analyst(inventory, plans)
    foreign = replace(report_of(plans), windows=report_of(plans, number=1).windows)
    analyst.observe(foreign, now_ns=T0)
    assert dict(analyst.rejected) == {"check of another agent": 1}


def test_a_repeat_is_counted_and_dropped(fleet: tuple[Inventory, FleetPlan]) -> None:
    inventory, plans = fleet
    analyst = Analyst(inventory, plans)
    for _ in range(2):
        analyst.observe(report_of(plans), now_ns=T0)
    assert dict(analyst.rejected) == {"repeated": 1}


def test_windows_that_come_after_their_interval_was_judged_are_late(
    fleet: tuple[Inventory, FleetPlan],
) -> None:
    inventory, plans = fleet
    analyst = Analyst(inventory, plans)
    analyst.observe(report_of(plans), now_ns=T0)
    analyst.conclude(now_ns=T0 + 10 * SECOND)
    analyst.observe(report_of(plans, number=1), now_ns=T0 + 11 * SECOND)
    assert dict(analyst.rejected) == {"late": 1}


def test_what_an_agent_can_do_is_known_of_it(fleet: tuple[Inventory, FleetPlan]) -> None:
    inventory, plans = fleet
    analyst, report = Analyst(inventory, plans), report_of(plans)
    able = replace(report.health, capabilities=("icmp-none", "connect", "tcp"))
    analyst.observe(replace(report, health=able), now_ns=T0)
    told = {status.agent: status.capabilities for status in analyst.conclude(now_ns=T0 + 4 * SECOND).agents}
    assert told.pop(report.agent) == able.capabilities
    assert set(told.values()) == {()}
