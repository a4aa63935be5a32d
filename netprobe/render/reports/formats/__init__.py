"""Registry of report formats by name; a new format is a file and a line in ``REPORT_FORMATS``.

Rule: names and suffixes cost nothing to read, so that ``--help`` can list them; the code that writes a format
is imported when it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.render.reports.formats.subject import ReportSubject

_TEXT_WIDTH = 100
"""Width of a table that is written to a file, in columns."""


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """One output format of a report."""

    suffix: str
    about: str
    write: Callable[[ReportSubject], str]


def write_table(subject: ReportSubject) -> str:
    """The terminal table without colours."""
    from netprobe.render.terminal.tables import render_text

    return render_text(subject.table(), width=_TEXT_WIDTH)


def write_json(subject: ReportSubject) -> str:
    """The document that ``docs/schemas`` describes, indented."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(subject.document()), indent=2).decode() + "\n"


def write_yaml(subject: ReportSubject) -> str:
    """The same document as YAML."""
    from netprobe.wire.documents import write_document

    return write_document(subject.document())


def write_junit(subject: ReportSubject) -> str:
    """A test suite for CI systems."""
    from netprobe.render.reports.formats import junit

    return junit.write_junit(subject)


def write_tap(subject: ReportSubject) -> str:
    """A test plan and its lines."""
    from netprobe.render.reports.formats import tap

    return tap.write_tap(subject)


def write_sarif(subject: ReportSubject) -> str:
    """Findings as a code scanner reports them."""
    from netprobe.render.reports.formats import sarif

    return sarif.write_sarif(subject)


REPORT_FORMATS: Mapping[str, ReportFormat] = {
    "table": ReportFormat(".txt", "terminal table: only what differs", write_table),
    "markdown": ReportFormat(".md", "for a ticket or a wiki", lambda subject: subject.markdown()),
    "html": ReportFormat(".html", "one page with everything inside", lambda subject: subject.html()),
    "json": ReportFormat(".json", "for machines; schemas in docs/schemas", write_json),
    "yaml": ReportFormat(".yaml", "the same as YAML", write_yaml),
    "junit": ReportFormat(".xml", "JUnit XML for CI systems", write_junit),
    "tap": ReportFormat(".tap", "TAP 14 for test harnesses", write_tap),
    "sarif": ReportFormat(".sarif", "SARIF 2.1.0 for code scanners: problems only", write_sarif),
}
"""The registry of ``netprobe report``, ``report diff`` and ``verify``."""


def format_for_suffix(path: Path) -> str:
    """The format for the suffix of *path*; an unknown suffix is an :class:`InputError`."""
    for name, form in REPORT_FORMATS.items():
        if path.suffix == form.suffix:
            return name
    known = ", ".join(form.suffix for form in REPORT_FORMATS.values())
    raise InputError(f"no report format has the suffix {path.suffix!r}; use one of {known}", where=str(path))
