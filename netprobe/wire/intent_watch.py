"""Report of an intent watch to the collector: its deviations, and how long they stay valid."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netprobe.model.intent import CellVerdict, Deviation
from netprobe.model.prose import Prose
from netprobe.wire.envelope import Codec

MAX_WATCHED_BYTES = 512 * 1024
MAX_DEVIATIONS = 1_000
"""Largest number of deviations in a report; the collector keeps all of them in its snapshot."""
MAX_HOLDS_NS = 24 * 3_600_000_000_000
_MAX_TEXT = 500
_DIFFERS = frozenset({CellVerdict.BROKEN, CellVerdict.LEAK})


@dataclass(frozen=True, slots=True)
class IntentReport:
    """One report; it replaces the earlier reports of the same watcher."""

    watcher: str
    """Random identity of the watcher, new for each run."""
    intent: str
    """Name of the watched intent: its file name."""
    holds_ns: int
    """Validity of this report: without another one in this time the watcher is gone; 0: it ends now."""
    deviations: tuple[Deviation, ...] = ()


_CODEC = Codec(IntentReport, name="watched intent", limit=MAX_WATCHED_BYTES)


def encode_watched(report: IntentReport) -> bytes:
    """The bytes of a report; texts are truncated, and of too many deviations the first are kept."""
    kept = tuple(
        replace(deviation, rule=_cut(deviation.rule), example=Prose(_cut(f"{deviation.example}")))
        for deviation in report.deviations[:MAX_DEVIATIONS]
    )
    return _CODEC.encode(IntentReport(report.watcher, _cut(report.intent), report.holds_ns, kept))


def decode_watched(data: bytes) -> IntentReport:
    """Read a report; :class:`RemoteFormatError` names the invalid field."""
    report = _CODEC.decode(data)
    if not 0 <= report.holds_ns <= MAX_HOLDS_NS:
        raise _CODEC.error(f"is not within 0–{MAX_HOLDS_NS}", field="holds_ns")
    if len(report.deviations) > MAX_DEVIATIONS:
        raise _CODEC.error(
            f"has {len(report.deviations)} entries; the limit is {MAX_DEVIATIONS}", field="deviations"
        )
    for index, deviation in enumerate(report.deviations):
        if deviation.verdict not in _DIFFERS:
            raise _CODEC.error(
                f"{deviation.verdict} is not a deviation", field=f"deviations[{index}].verdict"
            )
        if not deviation.source or deviation.cells < 1:
            raise _CODEC.error("has no source or no cells", field=f"deviations[{index}]")
    return report


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
