"""Every format of every report, validated by independent schemas and by XML and TAP readers."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import xmlschema
import yaml

from netprobe.analysis.queries.comparison import compare_judged, compare_snapshots
from netprobe.errors import InputError
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.render.labels import one_line
from netprobe.render.reports.comparison import ComparisonReport
from netprobe.render.reports.formats import REPORT_FORMATS, format_for_suffix
from netprobe.render.reports.formats.subject import CaseOutcome, ReportSubject
from netprobe.render.reports.snapshot import SnapshotReport
from netprobe.render.reports.verification import VerificationReport
from tests import fleets
from tests.unit.render.tap14 import TapError, read_tap

SCHEMAS = Path(__file__).parents[4] / "schemas"
PUBLISHED = Path(__file__).parents[5] / "docs/schemas"


def judged(
    source: str, target: str, verdict: CellVerdict, *, port: int = 443, reason: str = "ok"
) -> CellResult:
    cell = Cell(AgentId.parse(f"{source}/w1/pod"), f"{target}/w1/pod", "10.0.0.1",
                PortSpec(Protocol.TCP, port), Expectation.DENY, "no way # in")  # fmt: skip
    return CellResult(cell, verdict, Prose(reason))


HOSTILE = 'a\x00b\x1b[31m ]]> </failure> & "q" # SKIP\nnot ok 9\u2028\ud7ff ... |x|'
"""Hostile text from a peer: control characters, markup, directives, line breaks."""

JUDGED = (
    judged("prod", "dev", CellVerdict.AS_INTENDED),
    judged("prod", "dev", CellVerdict.LEAK, port=22, reason=HOSTILE),
    judged("dev", "prod", CellVerdict.BROKEN, reason="silent"),
    judged("dev", "edge", CellVerdict.UNPROVEN, reason=HOSTILE),
)


def hostile_moment() -> SnapshotReport:
    found = replace(fleets.tunnel_down_finding(), summary=Prose(HOSTILE))
    return SnapshotReport(replace(fleets.tunnel_down(), findings=(found,)))


def compared() -> ComparisonReport:
    """A tunnel broke, others became slower, and a node is no longer measured."""
    before, after = fleets.healthy(), fleets.several()
    slow = tuple(replace(path, rtt_p50_ns=path.rtt_p50_ns and path.rtt_p50_ns * 3) for path in after.paths)
    return ComparisonReport(compare_snapshots(before, replace(after, paths=slow)))


SUBJECTS: dict[str, ReportSubject] = {
    **{name: SnapshotReport(make()) for name, make in fleets.EVERY.items()},
    "hostile": hostile_moment(),
    "verified": VerificationReport(JUDGED, {"no way # in": "the intent.yaml:12:5"}),
    "all as intended": VerificationReport(JUDGED[:1]),
    "worse": compared(),
    "better": ComparisonReport(compare_snapshots(fleets.several(), fleets.healthy())),
    "another intent": ComparisonReport(compare_judged(JUDGED[:2], JUDGED[1:])),
}
each_subject = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)


@pytest.fixture(scope="module")
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd")


@each_subject
def test_junit_keeps_jenkins_schema_and_counts_right(
    subject: ReportSubject, junit_schema: xmlschema.XMLSchema
) -> None:
    text = REPORT_FORMATS["junit"].write(subject)
    junit_schema.validate(text)
    suite = ET.fromstring(text).find("testsuite")
    assert suite is not None
    cases = list(subject.cases())
    assert int(suite.get("tests", "")) == len(suite.findall("testcase")) == len(cases)
    for name, figure in (("failure", "failures"), ("skipped", "skipped")):
        assert int(suite.get(figure, "")) == len(suite.findall(f"testcase/{name}"))


def test_junit_says_which_cell_leaks() -> None:
    failure = ET.fromstring(REPORT_FORMATS["junit"].write(SUBJECTS["verified"])).find(
        "testsuite/testcase/failure[@type='leak']"
    )
    assert failure is not None
    assert failure.get("message", "").startswith("a\ufffdb")


@each_subject
def test_sarif_keeps_the_oasis_schema(subject: ReportSubject) -> None:
    log = json.loads(REPORT_FORMATS["sarif"].write(subject))
    schema = json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text())
    jsonschema.Draft4Validator(schema).validate(log)
    assert len(log["runs"][0]["results"]) == len(list(subject.problems()))
    for result in log["runs"][0]["results"]:
        assert log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_leak_is_located_at_the_rule_that_forbids_it() -> None:
    run = json.loads(REPORT_FORMATS["sarif"].write(SUBJECTS["verified"]))["runs"][0]
    leak = next(result for result in run["results"] if result["ruleId"] == "leak")
    place = leak["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "the%20intent.yaml"}, "region": {"startLine": 12, "startColumn": 5}
    }  # fmt: skip
    assert (leak["kind"], leak["level"]) == ("fail", "error")
    unproven = next(result for result in run["results"] if result["ruleId"] == "unproven")
    assert (unproven["kind"], unproven["level"]) == ("open", "none")


def test_a_leak_has_the_same_fingerprint_however_it_was_seen() -> None:
    again = VerificationReport(tuple(replace(one, reason=Prose("seen otherwise")) for one in JUDGED))
    prints = [
        {result["partialFingerprints"]["netprobe/v1"] for result in json.loads(text)["runs"][0]["results"]}
        for text in (
            REPORT_FORMATS["sarif"].write(SUBJECTS["verified"]),
            REPORT_FORMATS["sarif"].write(again),
        )
    ]
    assert prints[0] == prints[1]
    assert len(prints[0]) == 3


_READ_TAP = """
use TAP::Parser; local $/; my $parser = TAP::Parser->new({tap => <STDIN>}); $parser->run;
print join ' ', map { scalar $parser->$_ } qw(tests_planned passed failed skipped parse_errors);
"""


@pytest.mark.skipif(shutil.which("prove") is None, reason="needs Perl's Test::Harness (package perl)")
@each_subject
def test_tap_is_understood_by_perls_test_harness(subject: ReportSubject) -> None:
    text = REPORT_FORMATS["tap"].write(subject)
    assert text.startswith("TAP version 14\n")
    # Perl's reader does not accept version 14; the rest is compatible with 13 by design of version 14.
    tap = text.replace("version 14", "version 13", 1)
    ran = subprocess.run(["perl", "-e", _READ_TAP], input=tap, capture_output=True, text=True, check=True)
    outcomes = Counter(case.outcome for case in subject.cases())
    planned, passed, failed, skipped, errors = map(int, ran.stdout.split())
    assert (planned, errors) == (outcomes.total(), 0)
    assert (passed, failed) == (
        outcomes[CaseOutcome.PASSED] + outcomes[CaseOutcome.SKIPPED],
        outcomes[CaseOutcome.FAILED],
    )
    assert skipped == outcomes[CaseOutcome.SKIPPED]


@each_subject
def test_tap_keeps_the_grammar_of_version_14(subject: ReportSubject) -> None:
    points = read_tap(REPORT_FORMATS["tap"].write(subject))
    cases = list(subject.cases())
    assert [point.is_ok for point in points] == [case.outcome is not CaseOutcome.FAILED for case in cases]
    assert [point.directive == "skip" for point in points] == [
        case.outcome is CaseOutcome.SKIPPED for case in cases
    ]
    assert [point.description for point in points] == [
        one_line(f"{each.group}: {each.name}") for each in cases
    ]
    for point, case in zip(points, cases, strict=True):
        expected = {"kind": case.kind, "message": case.message}
        assert point.diagnostics == (None if point.is_ok else expected)


NO_TAP = {
    "no version": "1..1\nok 1\n",
    "no plan": "TAP version 14\nok 1\n",
    "a point is missing": "TAP version 14\n1..2\nok 1\n",
    "a line that does not end": "TAP version 14\n1..1\nok 1",
    "a bare hash": "TAP version 14\n1..1\nok 1 - a # b\n",
    "a stray line": "TAP version 14\n1..1\nok 1 - a\nb\n",
    "YAML indented by one": "TAP version 14\n1..1\nnot ok 1\n  ---\n a: b\n  ...\n",
    "YAML without an end": "TAP version 14\n1..1\nnot ok 1\n  ---\n  a: b\n",
}


@pytest.mark.parametrize("text", NO_TAP.values(), ids=NO_TAP)
def test_the_reader_of_tap_refuses_what_the_grammar_does_not_know(text: str) -> None:
    with pytest.raises(TapError):
        read_tap(text)


def test_every_failure_of_tap_has_a_yaml_block() -> None:
    text = REPORT_FORMATS["tap"].write(SUBJECTS["verified"])
    block = text.split("  ---\n")[1].split("  ...\n")[0]
    assert yaml.safe_load(block)["kind"] == "leak"
    assert "not ok 2 - no way \\# in: prod/w1/pod → dev/w1/pod (10.0.0.1) tcp/22 deny\n" in text


def _strict(schema: Any) -> Any:
    """The schema, with unknown fields forbidden."""
    if isinstance(schema, dict):
        closed = {key: _strict(value) for key, value in schema.items()}
        return {**closed, "additionalProperties": False} if "properties" in schema else closed
    return [_strict(each) for each in schema] if isinstance(schema, list) else schema


@each_subject
def test_json_conforms_to_the_published_schema(subject: ReportSubject) -> None:
    document = json.loads(REPORT_FORMATS["json"].write(subject))
    name = document["schema"].removeprefix("netprobe/")
    schema = json.loads((PUBLISHED / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(_strict(schema)).validate(document)


def test_a_document_with_a_wrong_type_does_not_pass_the_published_schema() -> None:
    schema = json.loads((PUBLISHED / "report.schema.json").read_text())
    document = copy.deepcopy(SUBJECTS["tunnel-down"].document())
    document["findings"][0]["confidence"] = 9  # type: ignore[index]
    assert not jsonschema.Draft202012Validator(schema).is_valid(document)


def test_yaml_says_the_same_as_json() -> None:
    subject = SUBJECTS["all as intended"]
    assert yaml.safe_load(REPORT_FORMATS["yaml"].write(subject)) == json.loads(
        REPORT_FORMATS["json"].write(subject)
    )


@pytest.mark.parametrize("name", ["several", "verified", "all as intended", "worse", "better"])
@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_reports_for_people_start_with_the_verdict(form: str, name: str) -> None:
    subject = SUBJECTS[name]
    assert subject.title.split(":")[0] in REPORT_FORMATS[form].write(subject)


def test_the_suffix_of_a_file_selects_its_format() -> None:
    assert {format_for_suffix(Path(f"x{form.suffix}")) for form in REPORT_FORMATS.values()} == set(
        REPORT_FORMATS
    )
    with pytest.raises(
        InputError, match=r"r\.pdf: no report format has the suffix '\.pdf'; use one of \.txt"
    ):
        format_for_suffix(Path("r.pdf"))
