"""Result of a simulated run, as a table and as a document: every fault and the finding it led to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType

from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import count
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import new_table
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.runner import RunScore
from netprobe.simulate.scorer import TimedFinding


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """A simulated run: its fleet, seed and score."""

    inventory: Inventory
    fleet: FleetPlan
    score: RunScore
    start_ns: int
    intervals: int
    seed: int

    def interval_of(self, at_ns: int) -> float:
        """A time in intervals since the start."""
        return (at_ns - self.start_ns) / self.fleet.interval_ns


def simulation_table(run: SimulatedRun) -> RenderableType:
    """The verdict, each fault with its result, and false findings."""
    score = run.score
    lines: list[RenderableType] = [
        Text(_verdict(score), style="bold cyan" if score.is_right else "bold red"),
        Text(_setting(run), style="bright_black"),
    ]
    if score.faults:
        table = new_table("fault", "intervals", "result", right=("intervals", "result"), grow="fault")
        for place, fault in enumerate(score.faults):
            table.add_row(_description(fault), _span(run, fault), _result(run, fault, score.named.get(place)))
        lines += [Text(), table]
    if score.false:
        table = new_table("false finding", "at", right=("at",), grow="false finding")
        for found in score.false.values():
            table.add_row(found.finding.id, f"{run.interval_of(found.at_ns):g}", style="red")
        lines += [Text(), table]
    return Group(*lines)


def _verdict(score: RunScore) -> str:
    false = count(len(score.false), "false finding") if score.false else "no false finding"
    if not score.faults:
        return f"nothing was broken: {false}"
    return f"{len(score.named)} of {count(len(score.faults), 'fault')} named right, {false}"


def _setting(run: SimulatedRun) -> str:
    plans = run.fleet.plans
    checks = sum(len(plan.checks) for plan in plans)
    fleet = (
        f"{count(len(run.inventory.clusters), 'cluster')}, {count(len(plans), 'agent')}, {checks:,} checks"
    )
    length = f"{run.intervals:,} intervals of {run.fleet.interval_ns / 1e9:g} s"
    rejected = sum(run.score.rejected.values())
    more = f", {rejected:,} rejected" if rejected else ""
    return f"{fleet}; {length}, {run.score.windows:,} windows judged{more}; seed {run.seed}"


def _description(fault: SimulatedFault) -> Text:
    return Text(f"{fault.name.strip()}\n").append(str(fault.label), style="bright_black")


def _span(run: SimulatedRun, fault: SimulatedFault) -> str:
    return f"{run.interval_of(fault.start_ns):g}–{run.interval_of(fault.end_ns):g}"


def _result(run: SimulatedRun, fault: SimulatedFault, found: TimedFinding | None) -> Text:
    if found is None:
        return Text("not named", style="bold red")
    after = (found.at_ns - fault.start_ns) / run.fleet.interval_ns
    return Text(f"right, after {after:.1f}", style="cyan")


def simulation_document(run: SimulatedRun) -> Document:
    """The same for machines; times are seconds since the start."""
    return {
        "schema": "netprobe/simulation",
        "seed": run.seed,
        "interval_s": run.fleet.interval_ns / 1e9,
        "intervals": run.intervals,
        "clusters": len(run.inventory.clusters),
        "agents": len(run.fleet.plans),
        "checks": sum(len(plan.checks) for plan in run.fleet.plans),
        "reports": run.score.reports,
        "windows": run.score.windows,
        "windows_rejected": run.score.rejected,
        "faults": list(_faults(run)),
        "named_right": len(run.score.named),
        "false_findings": [
            {
                "id": found.finding.id,
                "at_s": (found.at_ns - run.start_ns) / 1e9,
                "summary": found.finding.summary,
            }
            for found in run.score.false.values()
        ],
    }


def _faults(run: SimulatedRun) -> Iterator[Document]:
    for place, fault in enumerate(run.score.faults):
        found = run.score.named.get(place)
        yield {
            "fault": fault.name.strip(),
            "cause": str(fault.label.cause),
            "components": sorted(map(str, fault.label.components)),
            "start_s": (fault.start_ns - run.start_ns) / 1e9,
            "stop_s": (fault.end_ns - run.start_ns) / 1e9,
            "named_right": found is not None,
            "named_after_s": (found.at_ns - fault.start_ns) / 1e9 if found else None,
        }
