"""Tables and documents of a verification of fifty clusters."""

from __future__ import annotations

from dataclasses import replace

from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.render.reports.verification import (
    MAX_ROWS,
    verify_document,
    verify_markdown,
    verify_table,
)
from netprobe.render.reports.verification_rows import fold_rows, group_judged
from netprobe.render.terminal.tables import render_text


def judged(source: int, target: int, verdict: CellVerdict) -> CellResult:
    cell = Cell(
        AgentId.parse(f"cluster-{source:02}/w1/pod"), f"cluster-{target:02}/w1/pod", "10.0.0.1",
        PortSpec(Protocol.TCP, 443), Expectation.DENY, "default",
    )  # fmt: skip
    return CellResult(cell, verdict, Prose("answered"))


FLEET = [
    judged(one, other, CellVerdict.LEAK if one == 7 else CellVerdict.AS_INTENDED)
    for one in range(50)
    for other in range(50)
]


def test_fifty_clusters_stay_readable_at_eighty_columns() -> None:
    text = render_text(verify_table(FLEET), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "cluster-07/w1/pod → 50 clusters (cluster-00, cluster-01," in text
    assert "2,500 cells: 2,450 as intended, 0 broken, 50 leak, 0 unproven." in text
    assert len(text.splitlines()) < 14


def test_many_ways_to_differ_are_cut_and_counted() -> None:
    odd = [replace(judged(one, 3, CellVerdict.LEAK), reason=Prose(f"answered {one}")) for one in range(50)]
    text = render_text(verify_table(odd), width=80)
    assert f"… and {50 - MAX_ROWS} more groups" in text


def test_a_column_of_sources_folds_too() -> None:
    rows = fold_rows(group_judged(judged(one, 3, CellVerdict.BROKEN) for one in range(9)))
    assert [(len(row.sources), row.target, row.cells) for row in rows] == [(9, "cluster-03/w1/pod", 9)]


def test_what_differs_alike_between_all_pairs_is_one_row() -> None:
    differing = [
        judged(one, other, CellVerdict.UNPROVEN) for one in range(3) for other in range(3) if one != other
    ]
    (row,) = fold_rows(group_judged(differing))
    assert (row.cells, len(row.sources), len(row.targets)) == (6, 3, 3)
    assert row.source == "3 clusters (cluster-00, cluster-01, cluster-02)"


def test_all_as_intended_is_one_line() -> None:
    assert render_text(verify_table(FLEET[:10]), width=80) == "As intended: all 10 cells.\n"


def test_markdown_and_document_say_the_same() -> None:
    assert "| leak | cluster-07/w1/pod | cluster-00/w1/pod | tcp/443 | 1 |" in verify_markdown(FLEET[350:351])
    assert verify_document(FLEET[350:351])["counts"] == {
        "as intended": 0, "broken": 0, "leak": 1, "unproven": 0
    }  # fmt: skip


def test_the_same_drop_seen_from_two_distances_is_one_row() -> None:
    one = judged(1, 3, CellVerdict.BROKEN)
    near, far, other = (
        replace(one, reason=Prose(f"between {first} (10.0.0.{end}) and {second} (10.0.1.1)"))
        for first, second, end in (("hop 2", "hop 3", 1), ("hop 10", "hop 11", 1), ("hop 2", "hop 3", 2))
    )
    rows = group_judged([far, near, near, other])
    assert [(row.reason, row.cells) for row in rows] == [
        ("between hop 2 or 10 (10.0.0.1) and hop 3 or 11 (10.0.1.1)", 3),
        ("between hop 2 (10.0.0.2) and hop 3 (10.0.1.1)", 1),
    ]
