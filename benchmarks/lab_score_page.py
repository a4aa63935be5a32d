"""The page that the lab's score is published as."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from netprobe.lab.fault_drill import FaultDrill
from netprobe.simulate.scorer import FaultVerdict


def describe(verdict: FaultVerdict) -> str:
    """One fault, when it was named, and what it was called."""
    return f"{_sign(verdict)} {_seconds(verdict):>5} s  {verdict.name}  {_called(verdict)}"


def to_markdown(figures: Mapping[str, object], singles: FaultDrill, pairs: FaultDrill) -> str:
    """The whole page: singles, pairs, healthy minutes, and who was taken for whom."""
    lines = [
        "# What the lab's faults were called",
        "",
        "Written by `make lab-score`: faults injected into the default topology, on real packets. ✓ means",
        "that one finding had exactly the label's cause and parts.",
        "",
        "## Each kind of fault at two places, one after another",
        "",
        _sum_up(figures, ""),
        "",
        *_table(singles.scorer.verdicts),
        "",
        "## Two different faults at different places, at once",
        "",
        _sum_up(figures, "pairs_"),
        "",
        *_table(pairs.scorer.verdicts),
        "",
        "## Healthy under load",
        "",
        (
            f"{figures['healthy_minutes_under_load']:g} minutes with a busy loop on every processor and no "
            f"fault: {figures['healthy_false_findings']} findings."
        ),
        "",
        "## Kind of fault → cause that was named",
        "",
        *_confusion([*singles.scorer.verdicts, *pairs.scorer.verdicts]),
        "",
    ]
    return "\n".join(lines)


def _sum_up(figures: Mapping[str, object], prefix: str) -> str:
    got = {key: figures[prefix + key] for key in _COUNTED}
    return (
        "{named_right} of {faults_injected} named right, {false_findings} false findings, {in_time} within "
        "{bar_seconds:g} s (three intervals and one window); "
        "median {seconds_median} s, worst {seconds_worst} s."
    ).format_map(got)


_COUNTED = (
    "named_right", "faults_injected", "false_findings", "in_time", "bar_seconds", "seconds_median",
    "seconds_worst",
)  # fmt: skip


def _table(verdicts: Iterable[FaultVerdict]) -> Iterable[str]:
    yield "| | fault | was called | seconds |"
    yield "|---|---|---|---|"
    for verdict in verdicts:
        yield f"| {_sign(verdict)} | `{verdict.name}` | {_called(verdict)} | {_seconds(verdict)} |"


def _confusion(verdicts: Iterable[FaultVerdict]) -> Iterable[str]:
    """A row per kind: the causes its faults were called, and how often."""
    called: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        cause = str(verdict.finding.cause) if verdict.finding else "nothing"
        called[verdict.name.split()[0]][cause if verdict.named_right else f"**{cause}** (not the label)"] += 1
    yield "| kind of fault | was called |"
    yield "|---|---|"
    for kind, causes in sorted(called.items()):
        yield f"| {kind} | {', '.join(f'{cause} × {count}' for cause, count in causes.most_common())} |"


def _sign(verdict: FaultVerdict) -> str:
    return "✓" if verdict.named_right else "✗"


def _seconds(verdict: FaultVerdict) -> str:
    return f"{verdict.after_ns / 1e9:.1f}" if verdict.after_ns is not None else "–"


def _called(verdict: FaultVerdict) -> str:
    if verdict.finding is None:
        return "nothing found"
    return f"{verdict.finding.cause}: {', '.join(sorted(map(str, verdict.finding.components)))}"
