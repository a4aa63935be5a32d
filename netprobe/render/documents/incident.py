"""An incident of a watched intent, as text for people or as JSON."""

from __future__ import annotations

import datetime as dt
import json

from netprobe.analysis.intent.incidents import IncidentChange, IncidentEvent


def incident_text(event: IncidentEvent) -> str:
    """Two lines: what changed, and an example.

    ``15:04:05  incident 1 opened: broken prod → staging, rule web, 3 cells``
    """
    subject, example = event.subject, event.example
    what = f"{subject.verdict} {subject.source} → {subject.target}, rule {subject.rule}"
    cells = f"{event.cells:,} cell{'s' if event.cells != 1 else ''}"
    head = f"{_clock(event.at_ns)}  incident {event.number} {event.change}: {what}, {cells}"
    if event.change is IncidentChange.CLOSED:
        return f"{head}, after {_seconds(event.at_ns - event.opened_ns)}"
    cell = example.cell
    return f"{head}\n          {cell.source} → {cell.target} {cell.door}: {example.reason}"


def incident_json(event: IncidentEvent) -> str:
    """One JSON object on one line."""
    subject, example = event.subject, event.example
    document = {
        "schema": "netprobe/incident", "version": 1, "incident": event.number, "change": str(event.change),
        "at": _stamp(event.at_ns), "opened": _stamp(event.opened_ns), "verdict": str(subject.verdict),
        "from": subject.source, "to": subject.target, "rule": subject.rule, "cells": event.cells,
        "example": {
            "source": str(example.cell.source), "target": example.cell.target, "door": str(example.cell.door),
            "reason": example.reason, "at": example.at or None,
        },
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False)


def _moment(wall_ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(wall_ns / 1e9, tz=dt.UTC)


def _clock(wall_ns: int) -> str:
    return _moment(wall_ns).strftime("%H:%M:%S")


def _stamp(wall_ns: int) -> str:
    return _moment(wall_ns).isoformat(timespec="milliseconds")


def _seconds(length_ns: int) -> str:
    return f"{length_ns / 1e9:.0f} s"
