"""A simulated run as a table and as a document: every fault beside what was said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import count
from netprobe.render.terminal.tables import new_table
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.runner import RunScore
from netprobe.simulate.scorer import TimedFinding


@dataclass(frozen=True, slots=True)
class Simulated:
    """A run and what it was made of."""

    inventory: Inventory
    fleet: FleetPlan
    score: RunScore
    start_ns: int
    intervals: int
    seed: int

    def interval_of(self, at_ns: int) -> float:
        """A moment in intervals from the beginning."""
        return (at_ns - self.start_ns) / self.fleet.interval_ns


def simulation_table(run: Simulated) -> RenderableType:
    """The verdict, each fault with its answer, and whatever else was said."""
    score = run.score
    lines: list[RenderableType] = [
        Text(_verdict(score), style="bold cyan" if score.is_right else "bold red"),
        Text(_setting(run), style="bright_black"),
    ]
    if score.faults:
        table = new_table("fault", "intervals", "told", right=("intervals", "told"), grow="fault")
        for place, fault in enumerate(score.faults):
            table.add_row(_words(fault), _span(run, fault), _answer(run, fault, score.named.get(place)))
        lines += [Text(), table]
    if score.false:
        table = new_table("told, and nobody's label", "at", right=("at",), grow="told, and nobody's label")
        for told in score.false.values():
            table.add_row(told.finding.id, f"{run.interval_of(told.at_ns):g}", style="red")
        lines += [Text(), table]
    return Group(*lines)


def _verdict(score: RunScore) -> str:
    false = count(len(score.false), "false finding") if score.false else "no false finding"
    if not score.faults:
        return f"nothing was broken: {false}"
    return f"{len(score.named)} of {count(len(score.faults), 'fault')} named right, {false}"


def _setting(run: Simulated) -> str:
    plans = run.fleet.plans
    checks = sum(len(plan.checks) for plan in plans)
    told = f"{count(len(run.inventory.clusters), 'cluster')}, {count(len(plans), 'agent')}, {checks:,} checks"
    length = f"{run.intervals:,} intervals of {run.fleet.interval_ns / 1e9:g} s"
    rejected = sum(run.score.rejected.values())
    more = f", {rejected:,} rejected" if rejected else ""
    return f"{told}; {length}, {run.score.windows:,} windows judged{more}; seed {run.seed}"


def _words(fault: SimulatedFault) -> Text:
    return Text(f"{fault.name.strip()}\n").append(str(fault.label), style="bright_black")


def _span(run: Simulated, fault: SimulatedFault) -> str:
    return f"{run.interval_of(fault.start_ns):g}–{run.interval_of(fault.end_ns):g}"


def _answer(run: Simulated, fault: SimulatedFault, told: TimedFinding | None) -> Text:
    if told is None:
        return Text("not named", style="bold red")
    after = (told.at_ns - fault.start_ns) / run.fleet.interval_ns
    return Text(f"right, after {after:.1f}", style="cyan")


def simulation_document(run: Simulated) -> Document:
    """The same for machines; moments are seconds from the beginning."""
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
                "id": told.finding.id,
                "at_s": (told.at_ns - run.start_ns) / 1e9,
                "summary": told.finding.summary,
            }
            for told in run.score.false.values()
        ],
    }


def _faults(run: Simulated) -> Iterator[Document]:
    for place, fault in enumerate(run.score.faults):
        told = run.score.named.get(place)
        yield {
            "fault": fault.name.strip(),
            "cause": str(fault.label.cause),
            "components": sorted(map(str, fault.label.components)),
            "start_s": (fault.start_ns - run.start_ns) / 1e9,
            "stop_s": (fault.end_ns - run.start_ns) / 1e9,
            "named_right": told is not None,
            "named_after_s": (told.at_ns - fault.start_ns) / 1e9 if told else None,
        }
