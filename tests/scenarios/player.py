"""Plays a scenario and scores what the analyst said at every moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.inventory import Inventory
from netprobe.model.names import NodeId
from netprobe.model.window import Report
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import Effect, SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.scorer import Scorer
from netprobe.simulate.world import World
from tests.scenarios.default_topology import build_inventory

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
BEGIN_S = 10.0
"""When the first fault strikes, seconds after the start."""
LAST_S = 12.0
HEAL_S = 12.0
_TICK = SECOND // 4
DNS_NODES = frozenset(
    NodeId.parse(f"{name}/w1") for name in ("prod-us-west-1", "staging-eu-central-1", "dev-on-premise")
)


@dataclass(slots=True)
class Outcome:
    """The findings of one run, scored."""

    faults: tuple[SimulatedFault, ...]
    scorer: Scorer = field(default_factory=Scorer)
    left_open: tuple[str, ...] = ()
    conclusions: list[tuple[float, Conclusion]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for fault in self.faults:
            self.scorer.inject(fault.name, fault.label, at_ns=fault.start_ns)

    @property
    def named_after_s(self) -> dict[str, float]:
        """By name of the fault: seconds from its start until a finding named it right."""
        found = ((fault, self.scorer.find_right(fault.name)) for fault in self.faults)
        return {fault.name: (first.at_ns - fault.start_ns) / SECOND for fault, first in found if first}

    @property
    def false(self) -> dict[str, tuple[float, Finding]]:
        """Findings that name no fault, with the second in which they were first read."""
        false = self.scorer.false_findings
        return {name: ((first.at_ns - T0) / SECOND, first.finding) for name, first in false.items()}


@cache
def default_fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory()
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key")


def at(fault: SimulatedFault, start_s: float, *, end_s: float) -> SimulatedFault:
    return replace(fault, start_ns=T0 + int(start_s * SECOND), end_ns=T0 + int(end_s * SECOND))


def strike(kind: str, **parameters: str) -> SimulatedFault:
    return make_fault(default_fleet()[0], kind, parameters)


def play_effects(
    effects: Sequence[Effect], *, intervals: int, begin_s: int = 6, end_s: int = 1_000
) -> Conclusion:
    """What is known after some *intervals* of the default fleet in which *effects* last for a while."""
    inventory, plan = default_fleet()
    label = GroundTruth(Cause.UNKNOWN, ())
    fault = SimulatedFault("effects", label, tuple(effects), T0 + begin_s * SECOND, T0 + end_s * SECOND)
    analyst = Analyst(inventory, plan)
    world = World(PlanIndex(inventory, plan), (fault,), seed=4, start_ns=T0)
    for delivery in world.play(start_ns=T0, intervals=intervals):
        analyst.observe(delivery.report, now_ns=delivery.at_ns)  # type: ignore[arg-type]
    return analyst.conclude(now_ns=T0 + (intervals + 3) * SECOND)


def play(
    faults: Sequence[SimulatedFault],
    *,
    seed: int,
    intervals: int,
    keep: bool = False,
    on: tuple[Inventory, FleetPlan] | None = None,
) -> Outcome:
    """Run a fleet, the default one unless another is given, and read the findings four times a second."""
    inventory, fleet = on or default_fleet()
    analyst = Analyst(inventory, fleet)
    dns_nodes = frozenset(node for node in DNS_NODES if inventory.find_node(node))
    world = World(PlanIndex(inventory, fleet), faults, seed=seed, start_ns=T0, dns_nodes=dns_nodes)
    outcome = Outcome(tuple(faults))
    next_ns = T0
    for delivery in world.play(start_ns=T0, intervals=intervals):
        while next_ns <= delivery.at_ns:
            _read(analyst.conclude(now_ns=next_ns), next_ns, outcome, keep)
            next_ns += _TICK
        assert isinstance(delivery.report, Report)
        analyst.observe(delivery.report, now_ns=delivery.at_ns)
    last = analyst.conclude(now_ns=next_ns + SECOND)
    outcome.left_open = tuple(finding.id for finding in last.findings)
    return outcome


def _read(said: Conclusion, now_ns: int, outcome: Outcome, keep: bool) -> None:
    if keep:
        outcome.conclusions.append(((now_ns - T0) / SECOND, said))
    outcome.scorer.read(said.findings, at_ns=now_ns)
