"""Is every fault of the lab named right, on real packets?

Each kind of the catalogue at two places, one after another, in one lab. Prints the score; ``--docs FILE``
also writes the table of what each fault was called. Nothing is compared with a peer: the truth is the label.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from netprobe.analysis.score import Verdict
from netprobe.bus.ask import ask_snapshot
from netprobe.cli.catalogue import CATALOGUE
from netprobe.cli.rehearsal import Fault, LabInjector, Rehearsal
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down

_SETTLE_S = 60.0


def run(arguments: list[str]) -> dict[str, object]:
    """Inject every fault of the catalogue and count the right names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lab-score")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds of one round of questions")
    parser.add_argument("--only", default="", help="kinds to play, separated by commas")
    parser.add_argument("--places", type=int, choices=(1, 2), default=2)
    parser.add_argument("--docs", type=Path, help="Markdown file to write")
    asked = parser.parse_args(arguments)
    kinds = set(filter(None, asked.only.split(",")))
    faults = [f for pair in CATALOGUE for f in pair[: asked.places] if not kinds or f.kind in kinds]
    name = f"score-{os.getpid()}"
    interval_ns = round(asked.interval * 1e9)
    try:
        start_lab(Start(name, interval_ns=interval_ns, end_with_pid=os.getpid()), say=_tell)
        rehearsal = asyncio.run(_play_all(name, faults, interval_ns))
    finally:
        take_down(name)
    figures = _count(rehearsal)
    if asked.docs:
        asked.docs.write_text(_to_markdown(rehearsal, figures))
    return figures


async def _play_all(name: str, faults: Sequence[Fault], interval_ns: int) -> Rehearsal:
    ask = functools.partial(ask_snapshot, find_access(name))
    rehearsal = Rehearsal(ask, LabInjector(LabClient(name)), interval_ns)
    await rehearsal.wait_until_healthy(timeout_s=_SETTLE_S)
    for fault in faults:
        verdict = await rehearsal.play(fault)
        _tell(_line(verdict))
        await rehearsal.wait_until_healthy(timeout_s=_SETTLE_S)
    return rehearsal


def _line(verdict: Verdict) -> str:
    seconds = f"{verdict.after_ns / 1e9:.1f} s" if verdict.after_ns is not None else "–"
    return f"{'✓' if verdict.named_right else '✗'} {seconds:>6}  {verdict.name}  {_called(verdict)}"


def _called(verdict: Verdict) -> str:
    if verdict.finding is None:
        return "nothing found"
    return f"{verdict.finding.cause}: {', '.join(sorted(map(str, verdict.finding.components)))}"


def _count(rehearsal: Rehearsal) -> dict[str, object]:
    verdicts = rehearsal.scorer.verdicts
    times = sorted(v.after_ns for v in verdicts if v.named_right and v.after_ns is not None)
    return {
        "faults_injected": len(verdicts),
        "named_right": sum(verdict.named_right for verdict in verdicts),
        "in_time": sum(map(rehearsal.is_in_time, verdicts)),
        "false_findings": len(rehearsal.scorer.false_findings),
        "seconds_median": round(times[len(times) // 2] / 1e9, 2) if times else None,
        "seconds_worst": round(times[-1] / 1e9, 2) if times else None,
        "bar_seconds": rehearsal.bar_ns / 1e9,
        "false": [f.id for f in rehearsal.scorer.false_findings.values()],
    }


def _to_markdown(rehearsal: Rehearsal, figures: dict[str, object]) -> str:
    rows = [
        f"| {'✓' if verdict.named_right else '✗'} | `{verdict.name}` | {_called(verdict)} "
        f"| {verdict.after_ns / 1e9:.1f} |"
        if verdict.after_ns is not None
        else f"| ✗ | `{verdict.name}` | {_called(verdict)} | – |"
        for verdict in rehearsal.scorer.verdicts
    ]
    count = (
        f"{figures['named_right']} of {figures['faults_injected']} named right, "
        f"{figures['false_findings']} false findings, {figures['in_time']} within "
        f"{figures['bar_seconds']:.0f} s (three intervals and one window); "
        f"median {figures['seconds_median']} s, worst {figures['seconds_worst']} s."
    )
    intro = (
        "Written by `make lab-score`: each kind of fault at two places of the default topology, injected one",
        "after another on real packets. ✓ means that one finding had exactly the label's cause and parts.",
        "",
        count,
    )
    head = ("| | fault | was called | seconds |", "|---|---|---|---|")
    return "\n".join(["# What the lab's faults were called", "", *intro, "", *head, *rows, ""])


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
