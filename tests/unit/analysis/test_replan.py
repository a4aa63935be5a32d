"""From plan to plan: what continues keeps its state, what departs vanishes without a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.plan.index import PlanIndex
from netprobe.errors import MisuseError
from netprobe.model.finding import Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory, Link, LinkKind
from netprobe.model.names import CheckId, ClusterName, NodeName
from netprobe.model.status import PathState
from netprobe.model.window import Report
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.world import World
from tests.scenarios.default_topology import build_cluster

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
EPOCH_S = 20
ONE, OTHER = ClusterName("one"), ClusterName("other")
POLICY = PlanPolicy(full_mesh_nodes=0)
TICK_NS = SECOND // 4
IN_FLIGHT_NS = 3 * TICK_NS
"""So long after an epoch's end the next plan comes, while its last reports are still on the way."""


def build_fleet(*, without: str = "") -> Inventory:
    """Two clusters of six nodes, a tunnel between them; *without* is a node of the first."""
    names = ("gw", *(f"w{number}" for number in range(1, 6)))
    one, other = (build_cluster(name, names, number) for number, name in enumerate((ONE, OTHER), 1))
    one = replace(one, nodes=tuple(node for node in one.nodes if node.name != without))
    gateway = NodeName("gw")
    link = Link(ONE, OTHER, LinkKind.TUNNEL, "wireguard", gateway, gateway, 1420, 51820)
    return Inventory((one, other), (link,))


def plan(inventory: Inventory, epoch: int) -> FleetPlan:
    return plan_fleet(inventory, epoch=epoch, seed=3, interval_ns=SECOND, cookie_key=b"key", policy=POLICY)


@dataclass(slots=True, repr=False)
class Story:
    """What was said, second by second, and the plans it was said of."""

    analyst: Analyst
    said: list[Conclusion] = field(default_factory=list)
    at_change: list[Conclusion] = field(default_factory=list)
    """The conclusion right after each change of plans."""

    @property
    def open_findings(self) -> set[str]:
        return {finding.id for each in self.said for finding in each.findings}


def tell(inventories: Sequence[Inventory], faults: Sequence[SimulatedFault] = ()) -> Story:
    """One epoch per inventory, each of *EPOCH_S* intervals of one second."""
    analyst = Analyst(inventories[0], plan(inventories[0], 0))
    story = Story(analyst)
    now_ns = T0
    pending: dict[int, Inventory] = {
        T0 + epoch * EPOCH_S * SECOND + IN_FLIGHT_NS: inventory
        for epoch, inventory in enumerate(inventories)
        if epoch
    }
    for at_ns, report in _reports(inventories, faults):
        while now_ns <= at_ns:
            if now_ns in pending:
                epoch = (now_ns - T0) // (EPOCH_S * SECOND)
                analyst.replan(pending[now_ns], plan(pending.pop(now_ns), epoch), now_ns=now_ns)
                story.at_change.append(analyst.conclude(now_ns=now_ns))
            story.said.append(analyst.conclude(now_ns=now_ns))
            now_ns += TICK_NS
        analyst.observe(report, now_ns=at_ns)
    story.said.append(analyst.conclude(now_ns=now_ns + SECOND))
    return story


def _reports(
    inventories: Sequence[Inventory], faults: Sequence[SimulatedFault]
) -> Iterator[tuple[int, Report]]:
    for epoch, inventory in enumerate(inventories):
        world = World(PlanIndex(inventory, plan(inventory, epoch)), faults, seed=5, start_ns=T0)
        start_ns = T0 + epoch * EPOCH_S * SECOND
        for delivery in world.play(start_ns=start_ns, intervals=EPOCH_S):
            assert isinstance(delivery.report, Report)
            # Each world counts from one; the agents do not.
            report = replace(delivery.report, sequence=1_000 * epoch + delivery.report.sequence)
            yield delivery.at_ns, report


def strike(kind: str, parameters: Mapping[str, str], *, start_s: float, end_s: float) -> SimulatedFault:
    fault = make_fault(build_fleet(), kind, parameters)
    return replace(fault, start_ns=T0 + int(start_s * SECOND), end_ns=T0 + int(end_s * SECOND))


def ids(fleet: FleetPlan) -> set[CheckId]:
    return {check.id for each in fleet.plans for check in each.checks}


@pytest.fixture(scope="module")
def healthy() -> Story:
    return tell([build_fleet()] * 4)


class TestNextEpoch:
    def test_a_healthy_fleet_has_no_finding(self, healthy: Story) -> None:
        assert healthy.open_findings == set()

    def test_the_paths_are_those_of_the_plan(self, healthy: Story) -> None:
        for epoch, said in enumerate(healthy.at_change, 1):
            assert {path.check for path in said.paths} == ids(plan(build_fleet(), epoch))

    def test_what_continues_is_known_at_once_and_what_is_new_is_unknown(self, healthy: Story) -> None:
        before, after = (ids(plan(build_fleet(), epoch)) for epoch in (1, 2))
        assert before & after
        assert after - before
        states = {path.check: path.state for path in healthy.at_change[1].paths}
        assert {states[check] for check in before & after} == {PathState.UP}
        assert {states[check] for check in after - before} == {PathState.UNKNOWN}

    def test_everything_is_measured_in_the_end(self, healthy: Story) -> None:
        assert {path.state for path in healthy.said[-1].paths} == {PathState.UP}

    def test_windows_in_flight_are_used_and_departed_checks_counted(self, healthy: Story) -> None:
        """The last interval's reports came after the change: no frame was left out, nothing else rejected."""
        assert set(healthy.analyst.rejected) == {"check of an earlier plan"}
        lasting = ids(plan(build_fleet(), 0)) & ids(plan(build_fleet(), 1))
        change = EPOCH_S * 4 + 3
        last = healthy.said[change + 3]
        assert all(path.state is PathState.UP for path in last.paths if path.check in lasting)

    def test_agents_stay_alive(self, healthy: Story) -> None:
        for said in healthy.at_change:
            assert {str(agent.state) for agent in said.agents} == {"alive"}

    def test_another_interval_is_another_analyst(self) -> None:
        analyst = Analyst(build_fleet(), plan(build_fleet(), 0))
        with pytest.raises(MisuseError):
            analyst.replan(build_fleet(), replace(plan(build_fleet(), 1), interval_ns=7), now_ns=T0)


FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "a tunnel": ("tunnel-down", {"source": ONE, "target": OTHER}),
    "a node": ("node-down", {"node": f"{ONE}/w3"}),
}


class TestFindings:
    @pytest.mark.parametrize(("kind", "parameters"), FAULTS.values(), ids=FAULTS.keys())
    def test_a_finding_outlives_two_plans_and_ends_when_it_heals(
        self, kind: str, parameters: dict[str, str]
    ) -> None:
        fault = strike(kind, parameters, start_s=14.0, end_s=52.0)
        story = tell([build_fleet()] * 4, [fault])
        assert len(story.open_findings) == 1
        found = [_only(said.findings) for said in story.at_change[:2]]
        assert fault.label.is_named_by(found[0])
        assert found[0].first_seen_ns == found[1].first_seen_ns
        assert set(found[1].affected) <= ids(plan(build_fleet(), 2))
        last = story.said[-1]
        assert last.findings == ()
        assert len(last.past_findings) == 1

    def test_what_breaks_right_after_a_change_is_found(self) -> None:
        fault = strike("tunnel-down", FAULTS["a tunnel"][1], start_s=EPOCH_S + 2.0, end_s=4 * EPOCH_S)
        story = tell([build_fleet()] * 2, [fault])
        assert fault.label.is_named_by(_only(story.said[-1].findings))


class TestChangedFleet:
    def test_a_node_that_is_removed_vanishes_without_a_finding(self) -> None:
        story = tell([build_fleet(), build_fleet(without="w3"), build_fleet(without="w3")])
        assert story.open_findings == set()
        assert all(agent.agent.node != "w3" or agent.agent.cluster == OTHER
                   for agent in story.said[-1].agents)  # fmt: skip

    def test_a_node_that_is_added_is_measured_without_a_finding(self) -> None:
        story = tell([build_fleet(without="w3"), build_fleet(), build_fleet()])
        assert story.open_findings == set()
        assert {path.state for path in story.said[-1].paths} == {PathState.UP}

    def test_the_finding_of_a_dead_node_ends_when_the_node_is_removed(self) -> None:
        fault = strike("node-down", {"node": f"{ONE}/w3"}, start_s=12.0, end_s=1_000.0)
        story = tell([build_fleet(), build_fleet(without="w3")], [fault])
        assert fault.label.is_named_by(_only(story.said[EPOCH_S * 4].findings))
        assert story.at_change[0].findings == ()
        assert story.said[-1].findings == ()

    def test_a_report_of_a_removed_node_is_counted(self) -> None:
        story = tell([build_fleet(), build_fleet(without="w3")])
        assert story.analyst.rejected["agent of an earlier plan"] > 0


def _only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding
