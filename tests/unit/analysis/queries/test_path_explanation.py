"""What to ask on demand: planned questions first, and only agents that are there."""

from __future__ import annotations

from dataclasses import replace

from netprobe.analysis.queries.endpoints import find_end
from netprobe.analysis.queries.path_explanation import PathExplanation, explain_pair, find_questions
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import read_component_states
from tests import fleets


def explain(snapshot: Snapshot, source: str, target: str) -> PathExplanation:
    ends = find_end(snapshot.inventory, source), find_end(snapshot.inventory, target)
    return explain_pair(snapshot, *ends, feels=read_component_states(snapshot).of)


def test_one_planned_check_of_each_kind_is_asked_from_each_plane() -> None:
    snapshot = fleets.healthy()
    asked = find_questions(snapshot, explain(snapshot, "prod", "dev"), most=6)
    kinds = {(check.probe.kind, str(check.source.plane)) for check in asked}
    assert kinds == {(kind, plane) for kind in ("icmp", "udp", "tcp") for plane in ("host", "pod")}
    assert {check.id for check in asked} <= {check.id for check in snapshot.checks}


def test_silent_agents_are_not_asked() -> None:
    snapshot = fleets.agent_sick()
    assert find_questions(snapshot, explain(snapshot, str(fleets.SICK), "dev"), most=6) == ()


def test_never_more_than_allowed() -> None:
    snapshot = fleets.healthy()
    assert len(find_questions(snapshot, explain(snapshot, "prod", "dev"), most=2)) == 2


def test_what_the_plan_does_not_ask_is_unknown_and_asked_by_agents_that_exist() -> None:
    snapshot = replace(fleets.healthy(), checks=(), legs=(), paths=())
    why = explain(snapshot, "prod/w1", "dev/w1")
    assert why.state is PathState.UNKNOWN
    assert why.sentence == "Whether prod-us-west-1/w1 reaches dev-on-premise/w1 is unknown: no check asks it."
    asked = find_questions(snapshot, why, most=6)
    assert [(str(c.source), c.target.name, c.probe.kind) for c in asked] == [
        (f"{fleets.PROD}/w1/{plane}", f"{fleets.DEV}/w1/{plane}", kind)
        for plane in ("pod", "host")
        for kind in ("icmp", "tcp")
    ]
