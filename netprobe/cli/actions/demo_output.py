"""What the demo leaves: the score as JSON, one moment as report and evidence, a map of each moment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from netprobe.lab.fault_drill import FaultDrill
from netprobe.model.component import Component
from netprobe.model.finding import Finding
from netprobe.model.snapshot import Snapshot
from netprobe.render.figures.registry import draw_topology
from netprobe.render.reports.snapshot import build_report_files
from netprobe.simulate.scorer import FaultVerdict
from netprobe.store.bundle import write_bundle

SCHEMA = "netprobe.demo/1"


def report_document(drill: FaultDrill, *, seconds_in_all: float) -> dict[str, object]:
    """The whole run as plain data; every figure is measured or counted in this run."""
    verdicts = drill.scorer.verdicts
    false = drill.scorer.false_findings
    return {
        "schema": SCHEMA,
        "faults_injected": len(verdicts),
        "named_right": sum(verdict.named_right for verdict in verdicts),
        "in_time": sum(drill.is_in_time(verdict) for verdict in verdicts),
        "false_findings": len(false),
        "interval_seconds": drill.interval_ns / 1e9,
        "bar_seconds": drill.deadline_ns / 1e9,
        "seconds_in_all": round(seconds_in_all, 1),
        "faults": [_verdict(verdict, in_time=drill.is_in_time(verdict)) for verdict in verdicts],
        "what_was_found_wrongly": [_finding(seen.finding) for seen in false.values()],
    }


def _verdict(verdict: FaultVerdict, *, in_time: bool) -> dict[str, object]:
    return {
        "fault": verdict.name,
        "label": {"cause": verdict.label.cause, "components": _parts(verdict.label.components)},
        "finding": _finding(verdict.finding) if verdict.finding else None,
        "seconds_to_finding": round(verdict.after_ns / 1e9, 2) if verdict.after_ns is not None else None,
        "named_right": verdict.named_right,
        "in_time": in_time,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "cause": finding.cause,
        "components": _parts(finding.components),
        "confidence": finding.confidence,
        "summary": finding.summary,
    }


def _parts(components: tuple[Component, ...]) -> list[str]:
    return sorted(map(str, components))


def write_report(path: Path, document: Mapping[str, object]) -> None:
    """Write the score."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_moment(folder: Path, snapshot: Snapshot) -> None:
    """Write one moment as report, pictures, graph exports and evidence."""
    for name, content in build_report_files(snapshot, ("markdown", "html")).items():
        (folder / name).write_bytes(content)
    write_bundle(folder / "evidence", snapshot)


def draw_moments(folder: Path, moments: Mapping[str, Snapshot]) -> None:
    """Draw the map of each moment, numbered in the order they came."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (name, snapshot) in enumerate(moments.items()):
        (folder / f"{number:02d}-{name.split()[0]}.png").write_bytes(draw_topology(snapshot).to_png())
