"""Incidents of a watched intent open once, close once, and never close because no agent looked."""

from __future__ import annotations

import json

from netprobe.analysis.intent.incidents import IncidentChange, IncidentTracker
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.render.documents.incident import incident_json, incident_text

S = 1_000_000_000


def look(*verdicts: str) -> list[CellResult]:
    return [
        CellResult(
            Cell(AgentId.parse("a/w1/pod"), "b/w1/pod", "10.0.0.1", PortSpec(Protocol.TCP, port),
                 Expectation.ALLOW, "web"),
            CellVerdict(verdict),
            Prose("rejected by 10.9.9.9"),
        )
        for port, verdict in enumerate(verdicts, start=80)
    ]  # fmt: skip


def test_an_incident_opens_once_and_closes_when_all_of_it_is_proven() -> None:
    drift = IncidentTracker()
    assert drift.see(look("as intended", "as intended"), at_ns=1 * S) == ()
    (opened,) = drift.see(look("as intended", "broken"), at_ns=2 * S)
    assert (opened.change, opened.number, opened.cells) == (IncidentChange.OPENED, 1, 1)
    assert drift.see(look("broken", "broken"), at_ns=3 * S) == ()
    assert drift.see(look("as intended", "unproven"), at_ns=4 * S) == ()
    assert not drift.is_calm
    (closed,) = drift.see(look("as intended", "as intended"), at_ns=7 * S)
    assert (closed.change, closed.number, closed.cells, closed.opened_ns) == (
        IncidentChange.CLOSED,
        1,
        2,
        2 * S,
    )
    assert drift.is_calm


def test_a_leak_and_a_broken_cell_of_one_rule_are_two_incidents() -> None:
    drift = IncidentTracker()
    events = drift.see(look("leak", "broken"), at_ns=S)
    assert [event.number for event in events] == [1, 2]


def test_what_comes_back_is_a_new_incident() -> None:
    drift = IncidentTracker()
    numbers = [
        event.number for at, verdict in enumerate(("leak", "as intended", "leak"))
        for event in drift.see(look(verdict), at_ns=at)
    ]  # fmt: skip
    assert numbers == [1, 1, 2]


def test_an_incident_reads_well() -> None:
    drift = IncidentTracker()
    (opened,) = drift.see(look("broken"), at_ns=3600 * S)
    (closed,) = drift.see(look("as intended"), at_ns=3642 * S)
    assert incident_text(opened) == (
        "01:00:00  incident 1 opened: broken a → b, rule web, 1 cell\n"
        "          a/w1/pod → b/w1/pod tcp/80: rejected by 10.9.9.9"
    )
    assert incident_text(closed) == (
        "01:00:42  incident 1 closed: broken a → b, rule web, 1 cell, after 42 s"
    )
    told = json.loads(incident_json(closed))
    assert (told["incident"], told["change"], told["verdict"], told["cells"]) == (1, "closed", "broken", 1)
