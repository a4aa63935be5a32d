"""Tables as an 80-column terminal shows them; the snapshots beside this file show their output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from netprobe.model.component import ComponentKind
from netprobe.model.fleet import ClassCoverage, ClassGap, GapReason
from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.traffic import TrafficCondition
from netprobe.render.reachability import Level, read_matrix
from netprobe.render.terminal import tables
from netprobe.render.terminal.diagnosis import diagnosis_table
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.overview import report_table
from netprobe.render.terminal.weak_points import weak_points_table
from tests import fleets

VIEWS: dict[str, Callable[[Snapshot], RenderableType]] = {
    "topology": tables.topology_table,
    "matrix": matrix_table,
    "agents": tables.agents_table,
    "coverage": tables.coverage_table,
    "findings": tables.findings_table,
}
ALL_VIEWS = VIEWS | {
    "report": report_table,
    "diagnosis": diagnosis_table,
    "weak points": weak_points_table,
}


@pytest.mark.parametrize("view", VIEWS)
def test_everything_broken_at_once_reads_well(view: str, snapshot: SnapshotAssertion) -> None:
    assert tables.render_text(VIEWS[view](fleets.several()), width=80) == snapshot


@pytest.mark.parametrize("view", ["topology", "matrix", "findings"])
def test_a_healthy_fleet_is_quiet(view: str, snapshot: SnapshotAssertion) -> None:
    assert tables.render_text(VIEWS[view](fleets.healthy()), width=80) == snapshot


@pytest.mark.parametrize("view", VIEWS)
def test_fifty_clusters_show_what_differs(view: str, snapshot: SnapshotAssertion) -> None:
    assert tables.render_text(VIEWS[view](fleets.large()), width=80) == snapshot


def test_an_agent_that_may_not_ping_says_so() -> None:
    fleet = fleets.healthy()
    mute = replace(fleet.agents[0], capabilities=("icmp-none", "connect", "tcp"))
    text = tables.render_text(tables.agents_table(replace(fleet, agents=(mute, *fleet.agents[1:]))), width=80)
    assert [line.split()[0] for line in text.splitlines() if line.endswith("sends no ICMP")] == [
        str(mute.agent)
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_wider_than_the_terminal(view: str, width: int) -> None:
    text = tables.render_text(VIEWS[view](fleets.several()), width=width)
    assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("fleet", [fleets.several, fleets.long_named])
@pytest.mark.parametrize("view", sorted(set(ALL_VIEWS) - {"matrix"}))
def test_nothing_is_cut_off(view: str, fleet: Callable[[], Snapshot]) -> None:
    """A narrow terminal shows every character that a wide one shows, on more lines."""
    table = ALL_VIEWS[view](fleet())
    expected = letters(table, 1_000)
    for width in range(60, 101):
        assert letters(table, width) == expected, width


def letters(table: RenderableType, width: int) -> str:
    """The printed characters, sorted, so that line breaks do not matter."""
    return "".join(
        sorted(letter for letter in tables.render_text(table, width=width) if letter not in " \n─")
    )


@pytest.mark.parametrize("view", VIEWS)
def test_a_fleet_without_measurements_can_be_shown(view: str) -> None:
    bare = fleets.healthy()
    bare = replace(bare, checks=(), legs=(), paths=(), agents=())
    text = tables.render_text(VIEWS[view](bare), width=80)
    assert text.startswith("nothing measured yet by 14 agents")
    assert "✕" not in text


def test_wide_terminals_get_counts_and_narrow_ones_get_marks() -> None:
    assert "9/9" in tables.render_text(matrix_table(fleets.healthy()), width=120)
    assert "9/9" not in tables.render_text(matrix_table(fleets.healthy()), width=48)


def test_one_plane_can_be_shown_alone() -> None:
    host = read_matrix(fleets.agent_sick(), plane=Plane.HOST)
    pod = read_matrix(fleets.agent_sick(), plane=Plane.POD)
    both = read_matrix(fleets.agent_sick())
    pair = {"source": "prod-us-west-1/gw", "target": "prod-us-west-1/w1"}
    counts = [matrix.find(**pair) for matrix in (host, pod, both)]
    assert all(counts)
    assert [cell.paths for cell in counts if cell] == [6, 3, 9]


def test_clusters_gather_their_nodes() -> None:
    matrix = read_matrix(fleets.tunnel_down(), level=Level.CLUSTER)
    assert matrix.differing == ("prod-us-west-1", "staging-eu-central-1")


def test_zone_pairs_without_checks_are_named() -> None:
    """Zones are not mentioned if there are none."""
    fleet = fleets.several()
    coverage = replace(fleet.coverage, zone_pairs=6, zones_uncrossed=(("prod/east", "prod/west"),))
    text = tables.render_text(tables.coverage_table(replace(fleet, coverage=coverage)), width=80)
    assert "5  of 6 zone pairs within a cluster are crossed" in text
    assert "prod/east → prod/west" in text
    assert "zone" not in tables.render_text(tables.coverage_table(fleet), width=80)


@pytest.mark.parametrize("view", VIEWS)
def test_a_cluster_whose_api_is_away_says_so(view: str) -> None:
    fleet = fleets.healthy()
    first, *rest = fleet.inventory.clusters
    away = replace(first, away="https://192.0.2.1 cannot be reached")
    fleet = replace(fleet, inventory=replace(fleet.inventory, clusters=(away, *rest)))
    text = tables.render_text(VIEWS[view](fleet), width=100)
    assert f"! {first.name} is shown as last known: https://192.0.2.1 cannot be reached" in text


def test_classes_of_traffic_are_counted_and_what_is_not_told_apart_is_folded() -> None:
    tcp, new = TrafficCondition("protocol", "tcp"), TrafficCondition("flow", "new")
    kinds = (ComponentKind.NODE_OUT, ComponentKind.NODE_IN)
    fleet = fleets.several()
    coverage = replace(
        fleet.coverage,
        traffic=tuple(ClassCoverage(kind, 10, 100, 90, 80, 70, 50) for kind in kinds),
        traffic_gaps=(
            *(ClassGap(kind, tcp, GapReason.OTHER_CLASS, 10, other=new) for kind in kinds),
            *(ClassGap(kind, tcp, GapReason.OTHER_DIRECTION, 3, other_kind=kind) for kind in kinds),
            ClassGap(ComponentKind.TUNNEL, new, GapReason.NOT_ASKED, 1),
        ),
    )
    text = tables.render_text(tables.coverage_table(replace(fleet, coverage=coverage)), width=100)
    assert "nodes      200   90 %                80 %              70 %            50 %" in text
    assert "TCP packets = packets that open a flow: 20 node directions" in text
    assert "TCP packets, in or out: 6 node directions" in text
    assert "no packets that open a flow asked: 1 tunnel direction" in text
