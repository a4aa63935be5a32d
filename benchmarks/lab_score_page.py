"""The figures of the lab's score, and the page that it is published as."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from benchmarks.scripted_faults import UNASKED
from netprobe.lab.fault_drill import FaultDrill
from netprobe.model.finding import Cause
from netprobe.model.traffic import TrafficCondition
from netprobe.simulate.scorer import FaultVerdict

_CONFIDENT = 0.5
"""A wrong answer that claims more than this would lead people astray."""


def count(drill: FaultDrill) -> dict[str, object]:
    """The figures of one drill; faults that no check crosses are not among those that must be named."""
    asked = [verdict for verdict in drill.scorer.verdicts if verdict.name not in UNASKED]
    unasked = [verdict for verdict in drill.scorer.verdicts if verdict.name in UNASKED]
    right = [verdict for verdict in asked if verdict.named_right]
    times = sorted(verdict.after_ns for verdict in right if verdict.after_ns is not None)
    confident = drill.scorer.find_confident(above=_CONFIDENT)
    return {
        "faults_injected": len(asked),
        "named_right": len(right),
        "right_share": round(len(right) / len(asked), 4) if asked else None,
        "in_time": sum(map(drill.is_in_time, asked)),
        "wrong_confident": len(confident),
        "wrong_confident_findings": sorted(read.finding.id for read in confident),
        "silent": [verdict.name for verdict in asked if verdict.finding is None],
        "unexplained": [
            verdict.name
            for verdict in asked
            if verdict.finding is not None and verdict.finding.cause is Cause.UNEXPLAINED
        ],
        "unasked": len(unasked),
        "unasked_said": [verdict.name for verdict in unasked if verdict.finding is not None],
        "false_findings": len(drill.scorer.false_findings),
        "seconds_median": round(times[len(times) // 2] / 1e9, 2) if times else None,
        "seconds_worst": round(times[-1] / 1e9, 2) if times else None,
        "bar_seconds": drill.deadline_ns / 1e9,
        "false": list(drill.scorer.false_findings),
    }


def describe(verdict: FaultVerdict) -> str:
    """One fault, when it was named, and what it was called."""
    return f"{_sign(verdict)} {_seconds(verdict):>5} s  {verdict.name}  {_called(verdict)}"


def to_markdown(
    figures: Mapping[str, object], singles: FaultDrill, pairs: FaultDrill, equal_paths: FaultDrill | None
) -> str:
    """The whole page: singles, pairs, equal links, healthy minutes, and who was taken for whom."""
    shared = equal_paths.scorer.verdicts if equal_paths else []
    lines = [
        "# What the lab's faults were called",
        "",
        "Written by `make lab-score`: faults injected into the default topology, on real packets. ✓ means",
        "that one finding had the label's cause and parts; – that no check of the plan crosses the fault,",
        "so that nothing may be found.",
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
        *(_equal_section(figures, equal_paths) if equal_paths else ()),
        *_unsettled_section(figures),
        "## Healthy under load",
        "",
        (
            f"{figures['healthy_minutes_under_load']:g} minutes with a busy loop on every processor and no "
            f"fault: {figures['healthy_false_findings']} findings."
        ),
        "",
        "## Kind of fault → cause that was named",
        "",
        *_confusion([*singles.scorer.verdicts, *pairs.scorer.verdicts, *shared]),
        "",
    ]
    return "\n".join(lines)


def _equal_section(figures: Mapping[str, object], drill: FaultDrill) -> Iterator[str]:
    yield "## Two equal links between two gateways (ECMP)"
    yield ""
    yield _sum_up(figures, "equal_paths_")
    yield ""
    yield from _table(drill.scorer.verdicts)
    yield ""


def _unsettled_section(figures: Mapping[str, object]) -> Iterator[str]:
    unsettled = figures["unsettled"]
    if not isinstance(unsettled, Mapping) or not unsettled:
        return
    yield "## Not settled"
    yield ""
    yield "After these faults had ended, the lab was not well within three minutes, and a new one began."
    yield ""
    yield from (f"- `{fault}`: {why}" for fault, why in unsettled.items())
    yield ""


def _sum_up(figures: Mapping[str, object], prefix: str) -> str:
    got = {key: figures[prefix + key] for key in _COUNTED}
    return (
        "{named_right} of {faults_injected} named right, {false_findings} false findings, of which "
        "{wrong_confident} claimed more than 0.5 confidence. {in_time} were named within {bar_seconds:g} s "
        "(three intervals and one window); median {seconds_median} s, worst {seconds_worst} s. "
        "{unasked} more faults cross no check of the plan."
    ).format_map(got)


_COUNTED = (
    "named_right", "faults_injected", "wrong_confident", "false_findings", "in_time", "bar_seconds",
    "seconds_median", "seconds_worst", "unasked",
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
        called[verdict.name.split()[0]][
            cause if _sign(verdict) != "✗" else f"**{cause}** (not the label)"
        ] += 1
    yield "| kind of fault | was called |"
    yield "|---|---|"
    for kind, causes in sorted(called.items()):
        yield f"| {kind} | {', '.join(f'{cause} × {count}' for cause, count in causes.most_common())} |"


def _sign(verdict: FaultVerdict) -> str:
    if verdict.named_right:
        return "✓"
    return "–" if verdict.name in UNASKED and verdict.finding is None else "✗"


def _seconds(verdict: FaultVerdict) -> str:
    return f"{verdict.after_ns / 1e9:.1f}" if verdict.after_ns is not None else "–"


def _called(verdict: FaultVerdict) -> str:
    if verdict.finding is None:
        return "nothing found"
    parts = ", ".join(sorted(map(str, verdict.finding.components)))
    traffic = ", ".join(map(_condition, verdict.finding.traffic))
    return f"{verdict.finding.cause}: {parts}{f' [{traffic}]' if traffic else ''}"


def _condition(condition: TrafficCondition) -> str:
    return f"{condition.attribute} {'=' if condition.is_equal else '≠'} {condition.value}"
