"""A baseline says exactly what was seen, and is accepted as an intent."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.analysis.intent.baseline import question_of, write_baseline
from netprobe.analysis.intent.document import parse_span, read_intent
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.analysis.intent.verdicts import PortObservation, judge_cells
from netprobe.model.intent import Cell, CellVerdict
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import Verdict
from netprobe.wire.documents import write_document
from tests import fleets

FLEET = fleets.healthy().inventory
INVENTORY = replace(
    FLEET, clusters=tuple(replace(one, nodes=one.nodes[:1], services=()) for one in FLEET.clusters[:2]),
    links=(),
)  # fmt: skip
SPANS = tuple(map(parse_span, ("icmp", "tcp/80-82", "udp/9771")))
CELLS = expand_cells(question_of(SPANS), INVENTORY)
RESPONDERS = frozenset(parse_span("udp/9771").port_specs())
SEEN = st.sampled_from([
    PortObservation(Verdict.OPEN), PortObservation(Verdict.CLOSED),
    PortObservation(Verdict.FILTERED, is_witnessed=True),
    PortObservation(Verdict.REJECTED, "10.9.9.9"),
    PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.SILENT_HOST)),
])  # fmt: skip


@settings(max_examples=15)
@given(st.lists(SEEN, min_size=1, max_size=7))
def test_verify_accepts_the_baseline_of_what_it_saw(pattern: list[PortObservation]) -> None:
    sights: dict[Cell, PortObservation] = {cell: pattern[n % len(pattern)] for n, cell in enumerate(CELLS)}
    baseline = write_baseline(CELLS, sights, INVENTORY, responders=RESPONDERS)
    proven = {
        (cell.source, cell.target, cell.door) for cell in CELLS if sights[cell].verdict is not Verdict.UNKNOWN
    }
    assert baseline.cells - baseline.left_out == len(proven)
    if not proven:
        return
    text = write_document(msgspec.to_builtins(baseline.document))
    intent = read_intent(text, source="baseline.yaml", today=dt.date(2026, 11, 25))
    again = expand_cells(intent, INVENTORY)
    assert {(cell.source, cell.target, cell.door) for cell in again} == proven
    told = {(cell.source, cell.target, cell.door): sight for cell, sight in sights.items()}
    seen = {cell: told[cell.source, cell.target, cell.door] for cell in again}
    verdicts = {one.verdict for one in judge_cells(again, seen, responders=intent.responders)}
    assert verdicts == {CellVerdict.AS_INTENDED}


def test_equal_doors_of_equal_sources_are_one_rule() -> None:
    baseline = write_baseline(
        CELLS, dict.fromkeys(CELLS, PortObservation(Verdict.OPEN)), INVENTORY, responders=RESPONDERS
    )
    assert {rule.ports for rule in baseline.document.rules} == {("icmp", "tcp/80-82", "udp/9771")}
