"""Two moments side by side: every transition, and laws that hold for any two of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.analysis.queries.comparison import (
    ChangeKind,
    Comparison,
    compare_judged,
    compare_snapshots,
)
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState, PathStatus
from tests import fleets

HEALTHY = fleets.healthy()
CHECK = HEALTHY.checks[0]
UP, DEGRADED, DOWN, UNKNOWN = PathState


def one_path(
    state: PathState, *, rtt_ms: float | None = None, sent: int = 10, answered: int = 10
) -> Snapshot:
    rtt = None if rtt_ms is None else rtt_ms * 1e6
    path = PathStatus(CHECK.id, state, 0, sent=10, answered=answered, rtt_p50_ns=rtt)
    return replace(HEALTHY, checks=(CHECK,), paths=(path,))


def kinds(comparison: Comparison) -> list[str]:
    return [str(change.kind) for change in comparison.changes]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (UP, UP, None), (UP, DEGRADED, "degraded"), (UP, DOWN, "broken"), (UP, UNKNOWN, "unmeasured"),
        (DEGRADED, UP, "repaired"), (DEGRADED, DOWN, "broken"), (DEGRADED, UNKNOWN, "unmeasured"),
        (DOWN, UP, "repaired"), (DOWN, DEGRADED, "repaired"), (DOWN, DOWN, None),
        (DOWN, UNKNOWN, "unmeasured"), (UNKNOWN, UP, None), (UNKNOWN, DEGRADED, "degraded"),
        (UNKNOWN, DOWN, "broken"), (UNKNOWN, UNKNOWN, None),
    ],
)  # fmt: skip
def test_every_change_of_state_has_its_word(before: PathState, after: PathState, kind: str | None) -> None:
    compared = compare_snapshots(one_path(before), one_path(after))
    assert kinds(compared) == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("before_ms", "after_ms", "is_slower"),
    [
        (10, 16, True),
        (10, 14, False),
        (0.2, 0.9, False),
        (0.2, 1.3, True),
        (None, 9, False),
        (9, None, False),
    ],
)  # fmt: skip
def test_slower_takes_a_factor_and_a_millisecond(
    before_ms: float | None, after_ms: float | None, is_slower: bool
) -> None:
    compared = compare_snapshots(one_path(UP, rtt_ms=before_ms), one_path(UP, rtt_ms=after_ms))
    assert kinds(compared) == (["slower"] if is_slower else [])


def test_how_much_slower_is_too_slow_can_be_said() -> None:
    before, after = one_path(UP, rtt_ms=10), one_path(UP, rtt_ms=16)
    assert kinds(compare_snapshots(before, after, slower_factor=2.0)) == []


@pytest.mark.parametrize(
    ("before", "after", "kind"), [(0, 3, "leak"), (3, 0, "closed"), (0, 0, None), (3, 3, None)]
)
def test_a_check_that_must_not_be_answered_leaks_when_it_is(
    before: int, after: int, kind: str | None
) -> None:
    denied = replace(CHECK, expect=Expectation.DENY)
    old, new = (
        replace(one_path(UP if answered else DOWN, answered=answered), checks=(denied,))
        for answered in (before, after)
    )
    assert kinds(compare_snapshots(old, new)) == ([kind] if kind else [])


def test_what_only_one_moment_asked_is_counted_not_compared() -> None:
    fewer = replace(HEALTHY, paths=HEALTHY.paths[:100])
    compared = compare_snapshots(HEALTHY, fewer)
    assert (compared.compared, compared.gone, compared.new) == (100, len(HEALTHY.paths) - 100, 0)
    assert compared.changes == ()


def test_findings_begin_and_end() -> None:
    compared = compare_snapshots(fleets.tunnel_down(), fleets.agent_sick())
    assert [finding.id for finding in compared.begun] == ["agent-sick-1"]
    assert [finding.id for finding in compared.ended] == ["tunnel-down-1f2e"]


MOMENTS = [fleets.healthy(), fleets.tunnel_down(), fleets.agent_sick(), fleets.several()]


@given(moment=st.sampled_from(MOMENTS))
def test_nothing_differs_from_itself(moment: Snapshot) -> None:
    compared = compare_snapshots(moment, moment)
    assert (compared.changes, compared.begun, compared.ended) == ((), (), ())


@given(before=st.sampled_from(MOMENTS), after=st.sampled_from(MOMENTS))
def test_what_broke_one_way_is_repaired_the_other_way(before: Snapshot, after: Snapshot) -> None:
    there = {
        (change.source, change.target, change.door)
        for change in compare_snapshots(before, after).changes
        if change.kind is ChangeKind.BROKEN and change.before != "unknown"
    }
    back = {
        (change.source, change.target, change.door)
        for change in compare_snapshots(after, before).changes
        if change.kind is ChangeKind.REPAIRED or change.after == "degraded"
    }
    assert there <= back


def judged(verdict: CellVerdict, *, port: int = 443) -> CellResult:
    cell = Cell(AgentId.parse("prod/w1/pod"), "dev/w1/pod", "10.0.0.1", PortSpec(Protocol.TCP, port),
                Expectation.DENY, "r")  # fmt: skip
    return CellResult(cell, verdict, Prose(""))


OK, BROKEN, LEAK, UNPROVEN = CellVerdict


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [(OK, LEAK, "leak"), (OK, BROKEN, "broken"), (OK, UNPROVEN, "unmeasured"), (UNPROVEN, LEAK, "leak"),
     (LEAK, OK, "closed"), (BROKEN, OK, "repaired"), (UNPROVEN, OK, None), (LEAK, LEAK, None),
     (LEAK, UNPROVEN, "unmeasured")],
)  # fmt: skip
def test_every_change_of_a_verdict_has_its_word(
    before: CellVerdict, after: CellVerdict, kind: str | None
) -> None:
    assert kinds(compare_judged([judged(before)], [judged(after)])) == ([kind] if kind else [])


def test_cells_are_told_apart_by_their_doors() -> None:
    compared = compare_judged([judged(OK), judged(OK, port=80)], [judged(LEAK, port=80)])
    assert (kinds(compared), compared.compared, compared.gone) == (["leak"], 1, 1)
