"""JUnit XML that conforms to the schema of Jenkins (xunit-plugin, ``junit-10.xsd``)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter

from netprobe.render.reports.formats.subject import CaseOutcome, ReportCase, ReportSubject

_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, not even escaped (production [2], Char)."""


def write_junit(subject: ReportSubject) -> str:
    """One suite with one test case per statement: passed, failed, or skipped if it could not be decided."""
    cases = tuple(subject.cases())
    outcomes = Counter(case.outcome for case in cases)
    figures = {"tests": str(len(cases)), "failures": str(outcomes[CaseOutcome.FAILED]), "errors": "0"}
    root = ET.Element("testsuites", {"name": "netprobe", **figures})
    suite = ET.SubElement(
        root,
        "testsuite",
        {"name": _clean(subject.title), **figures, "skipped": str(outcomes[CaseOutcome.SKIPPED])},
    )
    for case in cases:
        _add_case(suite, case)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, case: ReportCase) -> None:
    added = ET.SubElement(suite, "testcase", {"name": _clean(case.name), "classname": _clean(case.group)})
    match case.outcome:
        case CaseOutcome.FAILED:
            attributes = {"type": _clean(case.kind), "message": _clean(case.message)}
            ET.SubElement(added, "failure", attributes)
        case CaseOutcome.SKIPPED:
            ET.SubElement(added, "skipped", {"message": _clean(case.message)})
        case CaseOutcome.PASSED:
            pass


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)
