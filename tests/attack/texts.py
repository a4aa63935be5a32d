"""Texts of strangers that a terminal or a browser would obey: in every view, report and log line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from rich.console import RenderableType
from rich.errors import MarkupError

from netprobe.cli.actions.show import TABLES
from netprobe.logs import JsonLines, TextLines
from netprobe.model.clean_text import clean
from netprobe.model.snapshot import Snapshot
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.snapshot import SnapshotReport
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.tables import render_text
from tests.attack.tally import AttackTally
from tests.unit.render.test_hostile_text import ALL, CONTROL, HOSTILE, spoilt

WIDTH = 200
HARMLESS = "harmless"
FOR_PEOPLE = ("table", "markdown", "html", "tap")
"""Forms of a report that a terminal or a browser shows."""


async def attack_with_texts() -> AttackTally:
    """Each text is shown as it is and as often as another; all of them in every view, report and log line."""
    tally = AttackTally()
    times = _words(_show(partial(_draw, TABLES["findings"], HARMLESS))).count(HARMLESS)
    for name, text in HOSTILE.items():
        shown = _show(partial(_draw, TABLES["findings"], text))
        wanted = _words(clean(text))
        is_whole = _words(shown).count(wanted) == times
        tally.note(f"findings: {name}", held=is_whole and not CONTROL.search(shown))
    for name, view in {**TABLES, "matrix": matrix_table}.items():
        shown = _show(partial(_draw, view, ALL))
        tally.note(f"view {name}", held=bool(shown) and not CONTROL.search(shown))
    for form in FOR_PEOPLE:
        shown = _show(partial(_write_report, form))
        tally.note(f"report {form}", held=bool(shown) and not CONTROL.search(shown))
    record = logging.LogRecord("netprobe.x", logging.WARNING, __file__, 1, "turned away: %s", (ALL,), None)
    for formatter in (TextLines(), JsonLines()):
        line = formatter.format(record)
        tally.note(type(formatter).__name__, held="\n" not in line and not CONTROL.search(line))
    return tally


def _draw(view: Callable[[Snapshot], RenderableType], text: str) -> str:
    return render_text(view(spoilt(text)), width=WIDTH)


def _write_report(form: str) -> str:
    return REPORT_FORMATS[form].write(SnapshotReport(spoilt(ALL)))


def _show(make: Callable[[], str]) -> str:
    """What is shown; nothing where a text ends it. (That a font lacks a character ends it in our tests.)"""
    try:
        return make()
    except (MarkupError, UserWarning):
        return ""


def _words(text: str) -> str:
    return "".join(text.split())
