"""Pictures: nothing overlaps, broken looks broken, and equal snapshots give equal bytes."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.text import Text

from netprobe.analysis.intent.incidents import find_deviation
from netprobe.model import component
from netprobe.model.intent import CellVerdict, Deviation
from netprobe.model.inventory import Inventory, NodeRole
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.figures.canvas import LEADER, Canvas
from netprobe.render.figures.layout import HEIGHT, WIDTH
from netprobe.render.figures.registry import FIGURES, draw_topology
from netprobe.render.figures.state_style import PAPER, STATE_STYLES
from tests import fleets

Corners = list[tuple[float, float]]


def many_workers() -> Snapshot:
    """One cluster with twenty workers beside two small ones."""
    small = fleets.default_inventory()
    worker = next(node for node in small.clusters[0].nodes if node.role is NodeRole.WORKER)
    more = tuple(replace(worker, name=fleets.node_id(fleets.PROD, f"w{i}").node) for i in range(3, 21))
    prod = replace(small.clusters[0], nodes=small.clusters[0].nodes + more)
    return fleets.snapshot_of(replace(small, clusters=(prod, *small.clusters[1:])))


FLEETS: dict[str, Callable[[], Snapshot]] = {
    **fleets.EVERY,
    "one cluster": lambda: fleets.snapshot_of(fleets.large_inventory(1, workers=3)),
    "two clusters": lambda: fleets.snapshot_of(fleets.large_inventory(2, workers=2)),
    "eight clusters": lambda: fleets.snapshot_of(fleets.large_inventory(8, workers=2)),
    "many workers": many_workers,
    "long names": fleets.long_named,
    "fifty clusters": fleets.large,
    "a hundred clusters in fifteen places": fleets.world,
}


@functools.cache
def drawn(figure: str, fleet: str) -> Canvas:
    """A figure of one of the fleets; drawing takes most of this file's time; no test changes a drawing."""
    return FIGURES[figure](FLEETS[fleet]())


# --- overlap ---------------------------------------------------------------------------------


def corners_of(sheet: Canvas, text: Text) -> Corners:
    """The four corners of a text, also if it is rotated."""
    angle = text.get_rotation()
    text.set_rotation(0)
    flat = text.get_window_extent()
    text.set_rotation(angle)
    pivot = sheet.axes.transData.transform(text.get_position())
    turn = math.radians(angle)
    shrunk = flat.padded(-0.5)
    return [
        (
            pivot[0] + (x - pivot[0]) * math.cos(turn) - (y - pivot[1]) * math.sin(turn),
            pivot[1] + (x - pivot[0]) * math.sin(turn) + (y - pivot[1]) * math.cos(turn),
        )
        for x, y in (
            (shrunk.x0, shrunk.y0),
            (shrunk.x1, shrunk.y0),
            (shrunk.x1, shrunk.y1),
            (shrunk.x0, shrunk.y1),
        )
    ]


def overlap(one: Corners, other: Corners) -> bool:
    """Separating axis test: two convex shapes are disjoint if an edge of one separates them."""
    for shape in (one, other):
        for (x0, y0), (x1, y1) in itertools.pairwise([*shape, shape[0]]):
            axis = y1 - y0, x0 - x1
            shadows = [[x * axis[0] + y * axis[1] for x, y in each] for each in (one, other)]
            if max(shadows[0]) <= min(shadows[1]) or max(shadows[1]) <= min(shadows[0]):
                return False
    return True


def test_the_overlap_test_can_tell() -> None:
    square = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)]
    assert overlap(square, [(x + 1, y + 1) for x, y in square])
    assert not overlap(square, [(x + 2, y) for x, y in square])


@pytest.mark.slow
@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("figure", FIGURES)
def test_no_two_texts_overlap_and_none_leaves_the_sheet(figure: str, fleet: str) -> None:
    sheet = drawn(figure, fleet)
    shapes = [(text.get_text(), corners_of(sheet, text)) for text in sheet.texts]
    clashes = [(one, other) for (one, a), (other, b) in itertools.combinations(shapes, 2) if overlap(a, b)]
    assert clashes == []
    right, top = sheet.axes.transData.transform((WIDTH, HEIGHT))
    outside = [name for name, shape in shapes if not all(0 <= x <= right and 0 <= y <= top for x, y in shape)]
    assert outside == []


# --- what is on it ---------------------------------------------------------------------------


def words_of(sheet: Canvas) -> list[str]:
    return [" ".join(text.get_text().split()) for text in sheet.texts]


def test_a_broken_tunnel_is_marked_in_both_directions_and_explained() -> None:
    words = words_of(drawn("topology", "tunnel-down"))
    assert words.count("✕") == 2
    assert "tunnel prod ↔ staging is down" in words
    assert "✕ down" in words, "the legend explains what occurs"
    assert "? unknown" not in words, "and only what occurs"


def test_a_leak_is_pointed_at_though_no_part_of_the_map_is_broken() -> None:
    told = Deviation(CellVerdict.LEAK, fleets.PROD, fleets.DEV, "no metrics", 3, Prose("a → b"))
    found = find_deviation(told, watch="intent.yaml", first_seen_ns=0, last_seen_ns=0)
    sheet = draw_topology(replace(fleets.healthy(), findings=(found,)))
    head = next(
        text for text in sheet.texts if text.get_text().startswith("leak") and text.get_fontweight() == "bold"
    )
    assert " ".join(head.get_text().split()) == "leak prod → dev: no metrics"
    assert head.get_color() == STATE_STYLES[PathState.DOWN].ink
    assert not {"✕", "≈", "?"} & set(words_of(sheet))


def test_a_healthy_map_is_calm() -> None:
    words = words_of(drawn("topology", "healthy"))
    assert words[0] == "all 14 agents reach each other, nothing broken"
    assert not {"✕", "≈", "?"} & set(words)


def test_only_the_broken_direction_is_marked() -> None:
    found = fleets.one_way_finding()
    snapshot = fleets.snapshot_of(
        fleets.default_inventory(), lossy=dict.fromkeys(found.components, 1.0), findings=(found,)
    )
    assert words_of(draw_topology(snapshot)).count("✕") == 1


@pytest.mark.parametrize("ends", [(fleets.PROD, fleets.STAGING), (fleets.STAGING, fleets.PROD)])
def test_a_leader_to_one_direction_crosses_no_text(ends: tuple[ClusterName, ClusterName]) -> None:
    found = replace(fleets.one_way_finding(), components=(component.tunnel(*ends),))
    snapshot = fleets.snapshot_of(
        fleets.default_inventory(), lossy=dict.fromkeys(found.components, 1.0), findings=(found,)
    )
    sheet = draw_topology(snapshot)
    leaders = [line for line in sheet.axes.lines if line.get_zorder() == LEADER]
    assert len(leaders) == 1
    (start, end) = sheet.axes.transData.transform(leaders[0].get_xydata())
    thin = [tuple(start), tuple(end), (end[0] + 0.1, end[1]), (start[0] + 0.1, start[1])]
    crossed = [text.get_text() for text in sheet.texts if overlap(thin, corners_of(sheet, text))]
    assert crossed == []


def test_a_sick_agent_is_unknown_and_never_down() -> None:
    words = words_of(drawn("topology", "agent-sick"))
    assert "pod ?" in words
    assert "agent prod/w2/pod is not measuring" in words
    assert "✕ down" not in words


def test_a_lossy_tunnel_says_how_much() -> None:
    assert words_of(drawn("topology", "several")).count("30 % lost") == 2


def test_fifty_clusters_name_only_what_differs() -> None:
    words = words_of(drawn("topology", "fifty clusters"))
    assert [word for word in words if word.startswith(("us-west-0", "us-east-0"))] == [
        "us-west-01", "us-west-03", "us-west-07"
    ]  # fmt: skip


def test_every_gateway_stands_on_the_map() -> None:
    assert words_of(drawn("topology", "healthy")).count("gw") == 3


def test_the_rest_of_many_workers_is_counted() -> None:
    assert "+ 15 more" in words_of(drawn("topology", "many workers"))


def test_an_empty_fleet_can_be_drawn() -> None:
    bare = replace(fleets.healthy(), inventory=Inventory(), checks=(), legs=(), paths=(), agents=())
    for draw in FIGURES.values():
        assert words_of(draw(bare))[0] == "nothing measured yet by 0 agents"


def test_the_matrix_counts_its_pairs() -> None:
    words = words_of(drawn("matrix", "tunnel-down"))
    assert "down: 12 pairs" in words
    assert "up: 30 pairs" in words


# --- out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", FIGURES)
def test_equal_snapshots_give_equal_bytes(figure: str) -> None:
    first, second = (FIGURES[figure](fleets.tunnel_down()) for _ in range(2))
    assert first.to_svg() == second.to_svg()
    assert first.to_png(dpi=50) == second.to_png(dpi=50)


def test_png_and_svg_are_what_they_say() -> None:
    sheet = drawn("topology", "healthy")
    assert sheet.to_png(dpi=50).startswith(b"\x89PNG")
    assert "<svg" in sheet.to_svg()


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("state", PathState)
def test_text_of_every_state_is_readable_on_paper(state: PathState) -> None:
    ink, paper = luminance(STATE_STYLES[state].ink), luminance(PAPER)
    assert (paper + 0.05) / (ink + 0.05) >= 4.5


def test_every_state_has_its_own_colour_line_and_mark() -> None:
    assert len({look.colour for look in STATE_STYLES.values()}) == 4
    assert len({look.mark for look in STATE_STYLES.values()}) == 4
    assert len({(look.width, look.dashes) for look in STATE_STYLES.values()}) == 4
