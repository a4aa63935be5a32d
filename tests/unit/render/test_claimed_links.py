"""Links of fabrics wherever people see links: mechanism, fabric, remaps, the claim beside the measurement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from netprobe.model.fabric import Claim, ClaimKind, ClaimState, ClaimSubject, ObjectReference, SubjectKind
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.snapshot import topology_document
from netprobe.render.figures.map import draw_map
from netprobe.render.graph import build_graph, find_links, link_label
from netprobe.render.reports.formats import REPORT_FORMATS
from netprobe.render.reports.snapshot import SnapshotReport
from netprobe.render.terminal.tables import render_text, topology_table
from netprobe.store.bundle import read_bundle, write_bundle
from tests import fleets
from tests.unit.cli.commands.test_show import run

GATEWAY = ObjectReference("submariner.io", "gateways", "submariner-operator", "gw")


def claim(source: str, target: str, value: str, state: ClaimState, fabric: str = "Submariner") -> Claim:
    subject = ClaimSubject(SubjectKind.LINK, source, target)
    return Claim(
        ClaimKind.SUBMARINER_CONNECTION, fabric, GATEWAY, "status.connections[0].status", value, state,
        subject, written_ns=fleets.TAKEN_NS - 3_000_000_000,
    )  # fmt: skip


def fabric_fleet() -> Snapshot:
    """A tunnel is down that Submariner calls connected; another one is well and called so, and remaps."""
    snapshot = fleets.tunnel_down()
    down, *others = snapshot.inventory.links
    links = (
        replace(down, known_from="Submariner"),
        *(replace(link, known_from="Submariner", is_remapped=True) for link in others),
    )
    well = others[0]
    claims = (
        claim(down.source, down.target, "connected", ClaimState.UP),
        claim(down.target, down.source, "connected", ClaimState.UP),
        claim(well.source, well.target, "error", ClaimState.DOWN),
        claim(well.source, well.target, "Connected", ClaimState.UP, fabric="Liqo"),
    )
    return replace(snapshot, inventory=replace(snapshot.inventory, links=links), claims=claims)


def test_a_link_names_mechanism_fabric_and_remap_and_only_its_own_fabric_speaks() -> None:
    edges = find_links(build_graph(fabric_fleet()))
    assert [(link_label(data), data["claimed"]) for _, _, data in edges[::2]] == [
        ("wireguard · Submariner", "connected"),
        ("direct · Submariner · remapped", ""),
        ("wireguard · Submariner · remapped", "error"),
    ]


def test_a_link_that_a_person_wrote_is_as_it_was() -> None:
    for _, _, data in find_links(build_graph(fleets.tunnel_down())):
        assert link_label(data) == data["mechanism"]


def test_the_table_has_the_claim_beside_the_state(snapshot: SnapshotAssertion) -> None:
    shown = render_text(topology_table(fabric_fleet()), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.partition("OVER")[2] == snapshot


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_reports_have_it_too(form: str) -> None:
    with_claims = REPORT_FORMATS[form].write(SnapshotReport(fabric_fleet()))
    without = REPORT_FORMATS[form].write(SnapshotReport(fleets.tunnel_down()))
    assert "Submariner · remapped" in with_claims
    assert "claimed" in with_claims
    assert "claimed" not in without


def test_machines_get_it_and_a_bundle_keeps_it(tmp_path: Path) -> None:
    write_bundle(tmp_path / "e", fabric_fleet())
    read = read_bundle(tmp_path / "e").snapshot
    assert read == fabric_fleet()
    links = topology_document(read)["links"]
    assert isinstance(links, list)
    said = {(link["known_from"], link["remapped"], link["claimed"]) for link in links}
    assert said == {
        ("Submariner", False, "connected"), ("Submariner", True, "error"), ("Submariner", True, None),
    }  # fmt: skip


def test_the_map_shows_it() -> None:
    picture = draw_map(fabric_fleet()).to_svg()
    assert picture != draw_map(replace(fabric_fleet(), claims=())).to_svg()


def test_why_quotes_claims_for_and_against(tmp_path: Path) -> None:
    write_bundle(tmp_path / "e", fabric_fleet())
    down = " ".join(run("why", "prod/w1", "staging/w1", "--from", tmp_path / "e").output.split())
    assert "claimed against it: Submariner, gateways.submariner.io submariner-operator/gw" in down
    assert "is “connected”; written 3 s ago" in down
    well = " ".join(run("why", "staging/w1", "dev/w1", "--from", tmp_path / "e").output.split())
    assert "claimed against it: Submariner" in well
    assert "is “error”" in well
    assert "claimed for it: Liqo" in well
    inside = run("why", "prod/w1", "prod/w2", "--from", tmp_path / "e").output
    assert "claimed" not in inside
