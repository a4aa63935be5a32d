"""Clocks that are wrong: what is measured still counts, the clock is named, and unknown is never green."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.model.component import Component, agent, collector
from netprobe.model.finding import Cause
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.status import AgentState, PathState
from netprobe.model.window import AgentHealth, Histogram, Report, Window
from netprobe.planning.fleet_plan import plan_fleet
from tests.scenarios.default_topology import build_inventory

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
T0 = 1_700_000_000 * SECOND
TRAVEL_NS = 50_000_000


@functools.cache
def plans() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory()
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key")


@dataclass
class ClockedFleet:
    """Agents with clocks of their own, and a collector with one: every probe is answered.

    Times called *true* are those of no clock in it.
    """

    inventory: Inventory
    plan: FleetPlan
    clocks_ns: dict[AgentId, int] = field(default_factory=dict)
    ours_ns: int = 0
    sequence: int = 0
    true_ns: int = T0
    last_true_ns: dict[AgentId, int] = field(default_factory=dict)
    """When what each agent reported last was measured."""

    def __post_init__(self) -> None:
        self.analyst = Analyst(self.inventory, self.plan)

    @property
    def agents(self) -> tuple[AgentId, ...]:
        return tuple(plan.agent for plan in self.plan.plans)

    @property
    def now_ns(self) -> int:
        return self.true_ns + self.ours_ns

    def report(self, agent: AgentId, *, age_ns: int = 0, spooled: int = 0) -> None:
        """The report of the interval that ended *age_ns* ago, arriving now."""
        self.sequence += 1
        made_ns = self.true_ns - age_ns + self.clocks_ns.get(agent, 0)
        start_ns = (made_ns // SECOND - 1) * SECOND
        checks = next(plan.checks for plan in self.plan.plans if plan.agent == agent)
        windows = tuple(
            Window(
                check.id, start_ns, SECOND, 3, 3, ((OutcomeKind.REACHED, 3),), rtt=Histogram.of([500_000] * 3)
            )
            for check in checks
        )
        health = AgentHealth(agent, made_ns, 1, windows_spooled=spooled)
        report = Report(agent, 1, self.sequence, "boot", start_ns, SECOND, windows, (), health)
        self.analyst.observe(report, now_ns=self.now_ns)
        self.last_true_ns[agent] = max(self.last_true_ns.get(agent, 0), self.true_ns - age_ns)

    def set_our_clock(self, by_ns: int) -> None:
        self.ours_ns += by_ns
        self.analyst.step_clock(by_ns, now_ns=self.now_ns)

    def conclude(self) -> Conclusion:
        return self.analyst.conclude(now_ns=self.now_ns)

    def run(self, seconds: int, *, silent: frozenset[AgentId] = frozenset()) -> Conclusion:
        for _ in range(seconds):
            self.true_ns += SECOND
            for one in self.agents:
                if one not in silent:
                    self.report(one)
            said = self.conclude()
        return said


def clock_findings(said: Conclusion) -> set[Component]:
    return {part for one in said.findings if one.cause is Cause.CLOCK for part in one.components}


def states(said: Conclusion) -> set[PathState]:
    return {path.state for path in said.paths}


@pytest.fixture
def fleet() -> ClockedFleet:
    return ClockedFleet(*plans(), true_ns=T0 + TRAVEL_NS)


@pytest.mark.parametrize("hours", [1, -1])
def test_an_agent_with_a_wrong_clock_is_named_and_still_measures(fleet: ClockedFleet, hours: int) -> None:
    wrong = fleet.agents[3]
    fleet.clocks_ns[wrong] = hours * HOUR
    said = fleet.run(20)
    assert states(said) == {PathState.UP}
    assert clock_findings(said) == {agent(wrong)}
    assert {status.state for status in said.agents} == {AgentState.ALIVE}
    offsets = {status.agent: status.clock_offset_ns for status in said.agents if status.clock_offset_ns}
    assert offsets.keys() == {wrong}
    assert abs(offsets[wrong] - hours * HOUR) < SECOND


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_while_it_reports_is_named_with_the_next_report(
    fleet: ClockedFleet, hours: int
) -> None:
    wrong = fleet.agents[3]
    fleet.run(10)
    fleet.clocks_ns[wrong] = hours * HOUR
    fleet.true_ns += SECOND
    fleet.report(wrong)
    offsets = {status.agent: status.clock_offset_ns for status in fleet.conclude().agents}
    assert abs(offsets[wrong] - hours * HOUR) < SECOND


def test_an_older_report_that_comes_again_is_no_clock_that_was_set_back(fleet: ClockedFleet) -> None:
    """As where the bus lost some, and the agent sends them again."""
    fleet.run(10)
    fleet.sequence -= 5 * len(fleet.agents)
    fleet.report(fleet.agents[3], age_ns=5 * SECOND)
    fleet.sequence += 5 * len(fleet.agents)
    said = fleet.run(3)
    assert clock_findings(said) == set()
    assert states(said) == {PathState.UP}


def test_the_finding_ends_when_the_clock_is_right_again(fleet: ClockedFleet) -> None:
    wrong = fleet.agents[3]
    fleet.clocks_ns[wrong] = HOUR
    fleet.run(10)
    fleet.clocks_ns[wrong] = 0
    said = fleet.run(10)
    assert clock_findings(said) == set()
    assert [one.cause for one in said.past_findings] == [Cause.CLOCK]
    assert states(said) == {PathState.UP}


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_our_own_clock_makes_all_unknown_until_it_is_measured(
    fleet: ClockedFleet, hours: int
) -> None:
    fleet.run(10)
    fleet.set_our_clock(hours * HOUR)
    assert states(fleet.conclude()) == {PathState.UNKNOWN}
    said = fleet.run(5)
    assert states(said) == {PathState.UP}
    assert clock_findings(said) == {collector()}
    (finding,) = said.findings
    side = "ahead of" if hours > 0 else "behind"
    assert f"The collector's clock is 3,600 s {side} the agents'" in str(finding.summary)
    fleet.set_our_clock(-hours * HOUR)
    said = fleet.run(5)
    assert states(said) == {PathState.UP}
    assert clock_findings(said) == set()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_collector_that_starts_with_a_wrong_clock_says_so(fleet: ClockedFleet, hours: int) -> None:
    fleet.ours_ns = hours * HOUR
    said = fleet.run(20)
    assert clock_findings(said) == {collector()}
    assert states(said) == {PathState.UP}


@pytest.mark.slow
def test_a_queue_is_no_clock(fleet: ClockedFleet) -> None:
    """An agent that was cut off for ten minutes hands over what it kept; its clock is right."""
    away = fleet.agents[0]
    fleet.run(5)
    said = fleet.run(600, silent=frozenset({away}))
    assert all(
        path.state is PathState.UNKNOWN for path, check in zip(said.paths, fleet.plan.checks, strict=True)
        if check.source == away
    )  # fmt: skip
    for left in range(600, 0, -1):
        fleet.true_ns += SECOND // 20
        fleet.report(away, age_ns=left * SECOND, spooled=20 * left)
        assert clock_findings(fleet.conclude()) == set()
    assert clock_findings(fleet.run(5)) == set()


def test_the_first_reports_of_a_queue_are_no_clock(fleet: ClockedFleet) -> None:
    """Those made when the bus was cut say that nothing, or only one, was kept; both arrive equally late."""
    away = fleet.agents[0]
    of_one = sum(check.source == away for check in fleet.plan.checks)
    fleet.run(5)
    fleet.run(10, silent=frozenset({away}))
    for kept in range(3):
        fleet.true_ns += SECOND
        fleet.report(away, age_ns=10 * SECOND, spooled=kept * of_one)
        assert clock_findings(fleet.conclude()) == set()


def test_what_was_kept_says_nothing_of_now_until_the_clock_is_known(fleet: ClockedFleet) -> None:
    """Its first report is five minutes old, and our clock is as much behind: it would pass for new."""
    fleet.ours_ns = -300 * SECOND
    fleet.report(fleet.agents[0], age_ns=300 * SECOND, spooled=10_000)
    fleet.true_ns += 4 * SECOND
    assert states(fleet.conclude()) == {PathState.UNKNOWN}
    assert states(fleet.run(8)) == {PathState.UP}


events = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 4)),
    st.tuples(st.just("silence"), st.integers(1, 6)),
    st.tuples(st.just("agent clock"), st.integers(-7200, 7200)),
    st.tuples(st.just("our clock"), st.integers(-7200, 7200)),
    st.tuples(st.just("old report"), st.integers(2, 300)),
    st.tuples(st.just("restart"), st.just(0)),
)


@pytest.mark.slow
@settings(max_examples=40)
@example(happens=[("our clock", -4), ("old report", 3), ("silence", 3)])
@example(happens=[("our clock", -300), ("old report", 300)])
@given(happens=st.lists(events, max_size=12))
def test_what_was_not_measured_lately_is_never_green(happens: list[tuple[str, int]]) -> None:
    """Whatever clocks do: a path has a state only where a report of the last few intervals says so."""
    fleet = ClockedFleet(*plans(), true_ns=T0 + TRAVEL_NS)
    victim = fleet.agents[0]
    patience_ns = 4 * SECOND + max(check.probe.timeout_ns for check in fleet.plan.checks) + SECOND
    for what, much in (*happens, ("silence", 6)):
        if what == "pass":
            said = fleet.run(much)
        elif what == "silence":
            said = fleet.run(much, silent=frozenset({victim}))
        elif what == "agent clock":
            fleet.clocks_ns[victim] = much * SECOND
            said = fleet.run(1)
        elif what == "our clock":
            fleet.set_our_clock(much * SECOND)
            said = fleet.conclude()
        elif what == "old report":
            fleet.report(victim, age_ns=much * SECOND, spooled=10_000)
            said = fleet.conclude()
        else:
            fleet.analyst = Analyst(fleet.inventory, fleet.plan)
            fleet.last_true_ns.clear()
            said = fleet.conclude()
        for check, path in zip(fleet.plan.checks, said.paths, strict=True):
            if path.state is not PathState.UNKNOWN:
                assert fleet.true_ns - fleet.last_true_ns.get(check.source, 0) <= patience_ns, (what, path)


def test_an_offset_is_shown_where_agents_are_shown(fleet: ClockedFleet) -> None:
    fleet.clocks_ns[fleet.agents[1]] = 90 * SECOND
    said = fleet.run(8)
    (one,) = (status for status in said.agents if status.clock_offset_ns)
    assert replace(one, clock_offset_ns=0).state is AgentState.ALIVE
