"""SARIF 2.1.0 (OASIS): problems, for code scanners and security dashboards.

Rule: the location of a leak is the line of the intent that forbids it, if known, so that a pull request that
opens a port shows the leak beside the rule. Places in the network are logical locations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import PurePath
from urllib.parse import quote

from netprobe import __version__
from netprobe.render.documents.snapshot import Document
from netprobe.render.reports.formats.subject import ReportProblem, ReportSubject

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def write_sarif(subject: ReportSubject) -> str:
    """One run; a proven problem is an error, an unproven one is ``open`` (section 3.27.9)."""
    problems = tuple(subject.problems())
    rules = {problem.rule: problem.about for problem in problems}
    numbers = {rule: number for number, rule in enumerate(rules)}
    run: Document = {
        "tool": {"driver": {
            "name": "netprobe",
            "semanticVersion": __version__,
            "rules": [{"id": rule, "shortDescription": {"text": about}} for rule, about in rules.items()],
        }},
        "results": [_result(problem, numbers[problem.rule]) for problem in problems],
        "columnKind": "unicodeCodePoints",
    }  # fmt: skip
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _result(problem: ReportProblem, rule_index: int) -> Document:
    location: Document = {"logicalLocations": [
        {"fullyQualifiedName": part, "kind": "resource"} for part in dict.fromkeys(problem.parts)
    ]}  # fmt: skip
    if problem.place:
        location["physicalLocation"] = _physical(problem.place)
    return {
        "ruleId": problem.rule,
        "ruleIndex": rule_index,
        "kind": "fail" if problem.is_proven else "open",
        "level": "error" if problem.is_proven else "none",
        "message": {"text": problem.message},
        "locations": [location],
        "partialFingerprints": {"netprobe/v1": _fingerprint((problem.rule, problem.identity))},
    }


def _physical(place: str) -> Document:
    """``file:line:column`` as a SARIF location; the file alone if no line is known."""
    file, line, column = [*place.rsplit(":", 2), "", ""][:3]
    region: Document = {}
    if line.isdecimal() and column.isdecimal():
        region = {"region": {"startLine": int(line), "startColumn": int(column)}}
    else:
        file = place
    return {"artifactLocation": {"uri": quote(PurePath(file).as_posix())}, **region}


def _fingerprint(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]
