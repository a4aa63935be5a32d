"""What a watcher of an intent tells the collector: all that is not as intended, and how long that holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netprobe.model.intent import CellVerdict, Deviation
from netprobe.model.prose import Prose
from netprobe.wire.envelope import Codec

MAX_WATCHED_BYTES = 512 * 1024
MAX_DEVIATIONS = 1_000
"""More are not told one by one: a collector keeps them all in its snapshot."""
MAX_HOLDS_NS = 24 * 3_600_000_000_000
_MAX_TEXT = 500
_DIFFERS = frozenset({CellVerdict.BROKEN, CellVerdict.LEAK})


@dataclass(frozen=True, slots=True)
class IntentReport:
    """One telling; it replaces what the same watcher has told before."""

    watcher: str
    """Tells watchers apart: chosen by chance for each run."""
    intent: str
    """How people call what is watched: the name of its file."""
    holds_ns: int
    """Without another telling in this time the watcher is gone; 0 says that it ends now."""
    deviations: tuple[Deviation, ...] = ()


_CODEC = Codec(IntentReport, name="watched intent", limit=MAX_WATCHED_BYTES)


def encode_watched(told: IntentReport) -> bytes:
    """The bytes of a telling; texts are cut, and of very many deviations the first are told."""
    kept = tuple(
        replace(one, rule=_cut(one.rule), example=Prose(_cut(f"{one.example}")))
        for one in told.deviations[:MAX_DEVIATIONS]
    )
    return _CODEC.encode(IntentReport(told.watcher, _cut(told.intent), told.holds_ns, kept))


def decode_watched(data: bytes) -> IntentReport:
    """Read a telling; :class:`RemoteFormatError` names the field that is wrong."""
    told = _CODEC.decode(data)
    if not 0 <= told.holds_ns <= MAX_HOLDS_NS:
        raise _CODEC.error(f"is not within 0–{MAX_HOLDS_NS}", field="holds_ns")
    if len(told.deviations) > MAX_DEVIATIONS:
        raise _CODEC.error(f"are {len(told.deviations)}; at most {MAX_DEVIATIONS}", field="deviations")
    for index, one in enumerate(told.deviations):
        if one.verdict not in _DIFFERS:
            raise _CODEC.error(f"{one.verdict} is no deviation", field=f"deviations[{index}].verdict")
        if not one.source or one.cells < 1:
            raise _CODEC.error("names nobody, or no cell", field=f"deviations[{index}]")
    return told


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
