"""What to ask on demand: planned questions first, and only agents that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from netprobe.analysis.queries.endpoints import find_end
from netprobe.analysis.queries.path_explanation import PathExplanation, explain_pair, find_questions
from netprobe.model.check import Check
from netprobe.model.names import Plane
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


def lose(snapshot: Snapshot, source: str, fails: Callable[[Check], bool]) -> Snapshot:
    """The same moment in which the checks of one pair that *fails* names are down."""
    down = {c.id for c in snapshot.checks if str(c.source).startswith(source) and fails(c)}
    paths = tuple(
        replace(path, state=PathState.DOWN, answered=0) if path.check in down else path
        for path in snapshot.paths
    )
    return replace(snapshot, paths=paths)


WORKER = f"{fleets.PROD}/w1"
FAR = f"{fleets.DEV}/w1"


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        pytest.param(lambda c: c.probe.kind == "tcp", "not answered: TCP (0 of", id="a protocol"),
        pytest.param(lambda c: c.probe.kind != "icmp", "not answered: TCP (0 of", id="all but one protocol"),
    ],
)
def test_rows_that_differ_by_one_attribute_are_said_so(fails: Callable[[Check], bool], told: str) -> None:
    why = explain(lose(fleets.healthy(), WORKER, fails), WORKER, FAR)
    assert why.state is PathState.DEGRADED
    assert told in why.sentence


def test_a_pair_whose_pods_are_silent_is_not_said_to_reach() -> None:
    why = explain(lose(fleets.healthy(), WORKER, lambda c: c.source.plane is Plane.POD), WORKER, FAR)
    assert why.sentence.startswith(f"{WORKER} does not reach {FAR} from its pods: not answered: pods (0 of ")


def test_a_part_that_is_up_beside_no_answer_says_what_acquits_it() -> None:
    why = explain(lose(fleets.healthy(), WORKER, lambda c: True), WORKER, FAR)
    (tunnel,) = (step for step in why.steps if step.layer == "tunnel")
    assert (tunnel.state, tunnel.answered) == (PathState.UP, 0)
    assert tunnel.told.startswith("acquitted by ")


def test_large_packets_that_share_the_fault_of_small_ones_blame_no_mtu() -> None:
    why = explain(lose(fleets.healthy(), WORKER, lambda c: c.probe.kind == "udp"), WORKER, FAR)
    (mtu,) = (step for step in why.steps if step.layer == "MTU")
    assert mtu.state is PathState.UNKNOWN
