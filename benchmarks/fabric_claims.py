"""Claims of fabrics in a simulated fleet: how many of those that packets deny are named, and which else.

Rule: every kind of claim that checks of ours can cross is played against a fault that it denies and against
none, in each state; a claim that agrees with the packets must stay silent, and so must one beside another
link's fault. Simulator and analysis know the same components, so these figures are upper bounds. What the
end-to-end tests saw with fabrics' own programs is counted beside them, from the record of their last run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from benchmarks.real_fabric_runs import read_runs
from benchmarks.vectorised_world import CalmWorld
from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.claims.table import CLAIMS
from netprobe.analysis.intervals.assembler import QuietWindows
from netprobe.analysis.plan.index import PlanIndex
from netprobe.discovery.fabrics import READABLE
from netprobe.model.component import Component, cluster_route, overlay, tunnel
from netprobe.model.fabric import Claim, ClaimKind, ClaimState, ClaimSubject, ObjectReference, SubjectKind
from netprobe.model.finding import Cause
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.units import SECOND_NS
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.fleet import FleetShape, build_inventory

_INTERVAL_NS = 10 * SECOND_NS
_START_NS = 1_700_000_000 * SECOND_NS
_BEGINS = 3
"""Intervals without a fault at first."""
_FABRIC = "Submariner"
_ONE, _OTHER, _THIRD = ClusterName("c01"), ClusterName("c02"), ClusterName("c03")
_WORKER, _GATEWAY = NodeId.parse("c01/w01"), NodeId.parse("c01/gw1")
_LINK = frozenset({tunnel(_ONE, _OTHER), tunnel(_OTHER, _ONE)})
_OVERLAY = frozenset({overlay(_WORKER, _GATEWAY), overlay(_GATEWAY, _WORKER)})
_ROUTE = frozenset({cluster_route(_WORKER, gateway=_GATEWAY, target=_OTHER)})
_KINDS = {
    ClaimKind.SUBMARINER_CONNECTION: SubjectKind.LINK,
    ClaimKind.LIQO_CONNECTION: SubjectKind.LINK,
    ClaimKind.LIQO_FOREIGN_CLUSTER: SubjectKind.LINK,
    ClaimKind.SUBMARINER_ROUTE_AGENT: SubjectKind.NODE_ROUTE,
}
"""Kinds that are held against packets, and what they are about."""
_FAULTS: dict[str, dict[str, str]] = {
    "tunnel-down": {"source": _ONE, "target": _OTHER},
    "overlay-blocked": {"node": str(_WORKER), "other": str(_GATEWAY)},
}
_OTHERS_FAULT = "another link"


@dataclass(frozen=True, slots=True)
class _Play:
    """One claim beside one fault or none; *denied* are the parts that a contradiction must name."""

    claim: Claim
    fault: str
    denied: frozenset[Component]


def _plays() -> Iterator[_Play]:
    nothing: frozenset[Component] = frozenset()
    for kind, subject in _KINDS.items():
        is_link = subject is SubjectKind.LINK
        fault, dead, well = (
            ("tunnel-down", _LINK, _LINK) if is_link else ("overlay-blocked", _OVERLAY, _ROUTE)
        )
        for state in ClaimState:
            claim, is_down = _claim(kind, subject, state), state is ClaimState.DOWN
            yield _Play(claim, fault, dead if state.is_well else nothing)  # what is unknown denies nothing
            yield _Play(claim, "", well if is_down else nothing)
            yield _Play(claim, _OTHERS_FAULT, well if is_down else nothing)


def _claim(kind: ClaimKind, subject: SubjectKind, state: ClaimState) -> Claim:
    node = str(_WORKER.node) if subject is SubjectKind.NODE_ROUTE else ""
    about = ClaimSubject(subject, _ONE, _OTHER, node)
    value = "error" if state is ClaimState.DOWN else "connected"
    return Claim(kind, _FABRIC, ObjectReference("g", "objects", "n", "x"), "status", value, state, about)


def run(arguments: list[str]) -> dict[str, object]:
    """Play every claim; the figures."""
    argparse.ArgumentParser(prog="python -m benchmarks fabrics").parse_args(arguments)
    inventory = build_inventory(FleetShape(clusters=3, nodes=3))
    inventory = replace(inventory, links=tuple(replace(link, known_from=_FABRIC) for link in inventory.links))
    fleet = plan_fleet(inventory, epoch=1, seed=1, interval_ns=_INTERVAL_NS, cookie_key=b"key")
    plays = tuple(_plays())
    named = false = made = 0
    for one in plays:
        found = _find_contradicted(_follow(inventory, fleet, one))
        made += bool(one.denied)
        named += bool(one.denied) and bool(found & one.denied)
        false += bool(found - one.denied)
    real = read_runs()
    return {
        "systems": len(READABLE),
        "by_real_program": len({each.fabric for each in real}),
        "real_cases": len(real),
        "real_contradictions_named": sum(each.is_contradicted for each in real),
        "claims": len(CLAIMS),
        "claims_held_against_packets": len(_KINDS),
        "plays": len(plays),
        "contradictions_made": made,
        "contradictions_named": named,
        "false_contradictions": false,
    }


def _find_contradicted(said: Conclusion) -> frozenset[Component]:
    return frozenset(
        part
        for finding in said.findings
        if finding.cause is Cause.STATUS_CONTRADICTED
        for part in finding.components
    )


def _follow(inventory: Inventory, fleet: FleetPlan, one: _Play) -> Conclusion:
    """What is concluded some intervals after the claimant must have noticed."""
    intervals = _BEGINS + CLAIMS[one.claim.kind].lag_ns // _INTERVAL_NS + 6
    faults = _faults(inventory, one.fault, intervals)
    world = CalmWorld(PlanIndex(inventory, fleet), faults, seed=3, start_ns=_START_NS)
    analyst = Analyst(inventory, fleet)
    analyst.hear_claims((one.claim,))
    reports = world.play(start_ns=_START_NS, intervals=intervals)
    for _, together in groupby(reports, key=lambda each: (each.at_ns - _START_NS) // _INTERVAL_NS):
        for delivery in together:
            if isinstance(delivery.report, QuietWindows):
                analyst.observe_quiet(delivery.report, now_ns=delivery.at_ns)
            else:
                analyst.observe(delivery.report, now_ns=delivery.at_ns)
        said = analyst.conclude(now_ns=delivery.at_ns + _INTERVAL_NS // 2)
    return said


def _faults(inventory: Inventory, name: str, intervals: int) -> Sequence[SimulatedFault]:
    if not name:
        return ()
    if name == _OTHERS_FAULT:
        made = make_fault(inventory, "tunnel-down", {"source": _ONE, "target": _THIRD})
    else:
        made = make_fault(inventory, name, _FAULTS[name])
    start_ns = _START_NS + _BEGINS * _INTERVAL_NS
    return (replace(made, start_ns=start_ns, end_ns=_START_NS + (intervals + 1) * _INTERVAL_NS),)
