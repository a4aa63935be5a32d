"""What verify shows of fifty clusters, and its forms for machines."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellVerdict, Door, Judged, Protocol
from netprobe.model.names import AgentId
from netprobe.render.tables import render_text
from netprobe.render.verify import MAX_ROWS, verify_document, verify_junit, verify_markdown, verify_table


def judged(source: int, target: int, verdict: CellVerdict) -> Judged:
    cell = Cell(
        AgentId.parse(f"cluster-{source:02}/w1/pod"), f"cluster-{target:02}/w1/pod", "10.0.0.1",
        Door(Protocol.TCP, 443), Expectation.DENY, "default",
    )  # fmt: skip
    return Judged(cell, verdict, "answered")


FLEET = [
    judged(one, other, CellVerdict.LEAK if one == 7 else CellVerdict.AS_INTENDED)
    for one in range(50)
    for other in range(50)
]


def test_fifty_clusters_stay_readable_at_eighty_columns() -> None:
    text = render_text(verify_table(FLEET), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "cluster-07/w1/pod → cluster-00/w1/pod: tcp/443" in text
    assert f"… and {50 - MAX_ROWS} more groups" in text
    assert "2,500 cells: 2,450 as intended, 0 broken, 50 leak, 0 unproven." in text


def test_all_as_intended_is_one_line() -> None:
    assert render_text(verify_table(FLEET[:10]), width=80) == "As intended: all 10 cells.\n"


def test_junit_counts_and_names() -> None:
    root = ET.fromstring(verify_junit([*FLEET[350:352], judged(1, 2, CellVerdict.UNPROVEN)]))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("3", "2", "1")
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("type") == "leak"


def test_markdown_and_document_say_the_same() -> None:
    assert "| leak | cluster-07/w1/pod | cluster-00/w1/pod | tcp/443 | 1 |" in verify_markdown(FLEET[350:351])
    assert verify_document(FLEET[350:351])["counts"] == {
        "as intended": 0, "broken": 0, "leak": 1, "unproven": 0
    }  # fmt: skip
