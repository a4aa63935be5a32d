"""The page about fabrics names every system, what is read of it, and every kind of claim."""

from __future__ import annotations

import re

from netprobe.analysis.claims.api_claims import API_CLAIMS
from netprobe.analysis.claims.table import CLAIMS
from netprobe.discovery.cluster_sources.registry import source_names
from netprobe.discovery.fabric_merge import ASSUMED_MTU
from netprobe.discovery.fabrics import FABRICS, READABLE
from netprobe.discovery.fabrics.objects import MAX_OBJECT_BYTES
from netprobe.model.units import SECOND_NS
from tests.unit.docs.pages import ROOT

TEXT = (ROOT / "docs/fabrics.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|")) for line in TEXT.splitlines() if "|" in line
]


def test_every_system_has_a_row_in_the_order_of_the_registry() -> None:
    names = [fabric.NAME for fabric in FABRICS]
    assert [row[0] for row in ROWS if row[0] in names] == names


def test_a_system_that_is_read_lists_its_kinds_and_any_other_has_none() -> None:
    read = {fabric.NAME: [kind.resource for kind in fabric.KINDS] for fabric in READABLE}
    for row in ROWS:
        if row[0] in {fabric.NAME for fabric in FABRICS}:
            assert re.findall(r"`([a-z.]+)`", row[2]) == read.get(row[0], []), row[0]


def test_every_kind_of_claim_has_a_row_with_its_lag() -> None:
    rows = {row[0].strip("`"): row[3] for row in ROWS if row[0].strip("`") in set(CLAIMS)}
    assert rows == {kind: f"{row.lag_ns // SECOND_NS} s" for kind, row in CLAIMS.items()}


def test_figures_of_the_page_are_those_of_the_code() -> None:
    assert f"{ASSUMED_MTU} bytes" in TEXT
    assert f"{MAX_OBJECT_BYTES >> 20} MiB" in TEXT


CLUSTER_ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (ROOT / "docs/clusters.md").read_text().splitlines()
    if line.startswith("| `")
]


def test_every_source_of_clusters_has_a_row() -> None:
    assert [row[0].strip("`") for row in CLUSTER_ROWS if row[0].strip("`") in source_names()] == [
        *source_names()
    ]


def test_every_claim_about_a_cluster_has_a_row_with_what_it_means() -> None:
    rows = {row[0].strip("`"): row[1:] for row in CLUSTER_ROWS if row[0].strip("`") in set(API_CLAIMS)}
    assert rows == {kind: (row.claimant, f"`{row.word}`", row.proves) for kind, row in API_CLAIMS.items()}
