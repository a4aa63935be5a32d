"""TAP 14, the Test Anything Protocol (testanything.org, version 14), with a YAML block per failure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from netprobe.model.clean_text import clean
from netprobe.render.labels import one_line
from netprobe.render.reports.formats.subject import CaseOutcome, ReportCase, ReportSubject


def write_tap(subject: ReportSubject) -> str:
    """One test point per statement; undecided statements are skipped with their reason."""
    cases = tuple(subject.cases())
    lines = ["TAP version 14", f"1..{len(cases)}", *_comment(subject.title)]
    for number, case in enumerate(cases, start=1):
        lines += _point(number, case)
    return clean("\n".join(lines)) + "\n"


def _point(number: int, case: ReportCase) -> Iterator[str]:
    description = f"{number} - {_escape(f'{case.group}: {case.name}')}"
    match case.outcome:
        case CaseOutcome.PASSED:
            yield f"ok {description}"
        case CaseOutcome.SKIPPED:
            yield f"ok {description} # SKIP {one_line(case.message)}"
        case CaseOutcome.FAILED:
            yield f"not ok {description}"
            yield "  ---"
            yield f"  kind: {json.dumps(case.kind, ensure_ascii=False)}"
            yield f"  message: {json.dumps(case.message, ensure_ascii=False)}"
            yield "  ..."


def _comment(text: str) -> Iterator[str]:
    yield f"# {one_line(text)}"


def _escape(text: str) -> str:
    """Escape a description: a bare ``#`` would start a directive, a backslash an escape."""
    return one_line(text).replace("\\", "\\\\").replace("#", "\\#")
