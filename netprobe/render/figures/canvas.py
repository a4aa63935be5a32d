"""The sheet of paper a figure is drawn on: title, legend, measured texts, and the way to PNG and SVG.

Rule: equal snapshots give equal bytes, so nothing here knows the time or draws lots. Every text is
registered, so that a test can ask whether any two of them overlap.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.text import Text

from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.figures.layout import (
    HEIGHT,
    WIDTH,
    Curve,
    Point,
    Rect,
)
from netprobe.render.figures.state_style import (
    GROUP_EDGE,
    INK,
    LOOKS,
    PAPER,
    SOFT_INK,
    StateStyle,
)
from netprobe.render.labels import (
    count,
    duration,
    moment,
    severity,
    unmeasured,
    verdict,
)

_INCHES_PER_UNIT = 0.75
LEADER = 10
"""The layer of leaders: above all but the callouts they come from."""
_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "svg.hashsalt": "netprobe",
    "svg.fonttype": "path",
    "figure.dpi": 100,
}


@dataclass(slots=True)
class Canvas:
    """A figure of 16 × 10 units whose axes are those units."""

    figure: Figure
    axes: Axes
    texts: list[Text] = field(default_factory=list)
    looks: set[StateStyle] = field(default_factory=set)
    """What the legend has to explain."""

    @classmethod
    def blank(cls) -> Canvas:
        """An empty sheet."""
        with mpl.rc_context(_SETTINGS):
            figure = Figure(figsize=(WIDTH * _INCHES_PER_UNIT, HEIGHT * _INCHES_PER_UNIT), facecolor=PAPER)
            FigureCanvasAgg(figure)  # attaches itself, so that texts can be measured
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set_xlim(0, WIDTH)
            axes.set_ylim(0, HEIGHT)
            axes.axis("off")
        return cls(figure, axes)

    # --- marks -------------------------------------------------------------------------------

    def write(self, at: Point, text: str, *, size: float = 8, colour: str = INK, **more: Any) -> Text:  # noqa: ANN401 - matplotlib's own text properties
        """Put *text* at a point; *size* in points."""
        with mpl.rc_context(_SETTINGS):
            drawn = self.axes.text(*at, text, fontsize=size, color=colour, **{"zorder": 9, **more})
        self.texts.append(drawn)
        return drawn

    def write_within(
        self,
        width: float,
        at: Point,
        text: str,
        *,
        size: float,
        least: float,
        **more: Any,  # noqa: ANN401 - matplotlib's own text properties
    ) -> Text:
        """Put *text* at a point: where it is wider than *width*, smaller, and shortened from *least* on."""
        drawn = self.write(at, text, size=size, **more)
        turn = drawn.get_rotation()
        drawn.set_rotation(0)
        room = self.measure(drawn).width
        if room > width:
            drawn.set_fontsize(max(least, 0.97 * size * width / room))  # letters do not shrink evenly
        kept = len(text)
        while kept > 3 and self.measure(drawn).width > width:
            kept -= 1
            drawn.set_text(f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}")
        drawn.set_rotation(turn)
        return drawn

    def erase(self, text: Text) -> None:
        """Take a text off the sheet."""
        text.remove()
        self.texts.remove(text)

    def measure(self, text: Text) -> Rect:
        """The room *text* takes, in units."""
        extent = text.get_window_extent()
        (x0, y0), (x1, y1) = self.axes.transData.inverted().transform(
            [(extent.x0, extent.y0), (extent.x1, extent.y1)]
        )
        return Rect(float(x0), float(y0), float(x1 - x0), float(y1 - y0))

    def box(
        self,
        rect: Rect,
        *,
        fill: str,
        edge: str,
        width: float = 1.0,
        rounding: float = 0.12,
        dashes: tuple[float, ...] = (),
        zorder: float = 1.0,
    ) -> None:
        """A rounded rectangle."""
        patch = FancyBboxPatch(
            (rect.x, rect.y), rect.width, rect.height, boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=fill, edgecolor=edge, linewidth=width, zorder=zorder,
            linestyle=(0, dashes) if dashes else "solid",
        )  # fmt: skip
        self.axes.add_patch(patch)

    def line(
        self, points: Sequence[Point], look: StateStyle, *, width: float | None = None, zorder: float = 2
    ) -> None:
        """A line in the look of a state."""
        self.looks.add(look)
        xs, ys = zip(*points, strict=True)
        self.axes.add_line(
            Line2D(xs, ys, color=look.colour, linewidth=width or look.width, zorder=zorder, **_dashed(look))
        )

    def arrow(self, curve: Curve, look: StateStyle) -> None:
        """A curve with a head at its end."""
        self.looks.add(look)
        length = math.dist(curve.start, curve.end)
        shaft = curve.cut(0.0, max(0.5, 1 - (0.1 + 0.03 * look.width) / length))
        path = Path([shaft.start, shaft.bend, shaft.end], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
        head = 13 + 2.6 * look.width
        last = Path([curve.at(0.95), curve.end])
        self.axes.add_patch(
            FancyArrowPatch(path=path, arrowstyle="-", color=look.colour, linewidth=look.width, zorder=4,
                            linestyle=(0, look.dashes) if look.dashes else "solid", capstyle="butt")
        )  # fmt: skip
        self.axes.add_patch(
            FancyArrowPatch(path=last, arrowstyle="-|>", mutation_scale=head, color=look.colour,
                            linewidth=0.1, zorder=5)
        )  # fmt: skip

    def leader(self, start: Point, end: Point, colour: str) -> None:
        """The thin line from a callout to what it is about."""
        xs, ys = (start[0], end[0]), (start[1], end[1])
        self.axes.add_line(Line2D(xs, ys, color=colour, linewidth=0.9, zorder=LEADER))

    def thread(self, points: Sequence[Point]) -> None:
        """A faint line that only holds things together."""
        xs, ys = zip(*points, strict=True)
        self.axes.add_line(Line2D(xs, ys, color=GROUP_EDGE, linewidth=2.5, zorder=2, solid_capstyle="round"))

    def tube(self, start: Point, end: Point, *, colour: str, width: float) -> None:
        """A wide soft band, as a tunnel around its lines."""
        xs, ys = (start[0], end[0]), (start[1], end[1])
        self.axes.add_line(Line2D(xs, ys, color=colour, linewidth=width, solid_capstyle="butt", zorder=1))

    def mark(self, at: Point, look: StateStyle, *, size: float = 11) -> None:
        """The mark of a state on a disc, as it sits in the middle of a line."""
        self.axes.plot(*at, marker="o", markersize=size + 5, color=PAPER, markeredgecolor=look.colour,
                       markeredgewidth=1.6, zorder=7)  # fmt: skip
        self.write(
            at,
            look.mark,
            size=size,
            colour=look.colour,
            weight="bold",
            ha="center",
            va="center_baseline",
            zorder=8,
        )

    def dot(self, at: Point, look: StateStyle, *, marker: str, size: float) -> None:
        """A small shape in the colour of a state; hollow where it is unknown."""
        self.looks.add(look)
        fill = PAPER if look.mark == "?" else look.colour
        self.axes.plot(*at, marker=marker, markersize=size, color=fill, markeredgecolor=look.colour,
                       markeredgewidth=1.1, linestyle="none", zorder=7)  # fmt: skip

    # --- head and foot -----------------------------------------------------------------------

    def head(self, snapshot: Snapshot) -> None:
        """The verdict, and what it is about."""
        told, bad = verdict(snapshot), severity(snapshot)
        lines = textwrap.wrap(told, 100)[:2]
        title = self.write((0.45, 9.62), "\n".join(lines), size=17 if len(told) <= 80 else 13, weight="bold",
                           colour=INK if bad is PathState.UP else LOOKS[bad].ink,
                           va="top", linespacing=1.25)  # fmt: skip
        inventory = snapshot.inventory
        nodes = sum(len(cluster.nodes) for cluster in inventory.clusters)
        agents = sum(1 for _ in inventory.iter_agents())
        about = (
            f"{moment(snapshot.taken_ns)}   ·   {count(len(inventory.clusters), 'cluster')}, "
            f"{count(nodes, 'node')}, {count(agents, 'agent')}, {count(len(snapshot.checks), 'check')} "
            f"every {duration(snapshot.interval_ns)}"
        )
        self.write((0.47, self.measure(title).y - 0.16), about, size=9, colour=SOFT_INK, va="top")

    def foot(self, snapshot: Snapshot) -> None:
        """What nobody measured, in the room that the legend leaves at its right."""
        missing = unmeasured(snapshot)
        if not missing:
            return
        legend = [room.x + room.width for room in map(self.measure, self.texts) if room.y < 0.6]
        left = max(legend, default=0.0) + 0.5
        for columns in (62, 52, 42, 32):
            said = "\n".join(textwrap.wrap(f"not measured: {missing}", columns))
            drawn = self.write(
                (WIDTH - 0.45, 0.5), said, size=7.5, colour=SOFT_INK, ha="right", va="center", linespacing=1.3
            )
            if self.measure(drawn).x >= left or columns == 32:
                return
            self.erase(drawn)

    # --- out ---------------------------------------------------------------------------------

    def to_png(self, *, dpi: int = 160) -> bytes:
        """The sheet as PNG."""
        with mpl.rc_context(_SETTINGS):
            raw = io.BytesIO()
            self.figure.savefig(raw, format="png", dpi=dpi, metadata={"Software": "netprobe"})
        return raw.getvalue()

    def to_svg(self) -> str:
        """The sheet as SVG, texts as outlines so that it looks alike everywhere."""
        with mpl.rc_context(_SETTINGS):
            raw = io.StringIO()
            self.figure.savefig(raw, format="svg", metadata={"Date": None, "Creator": "netprobe"})
        return raw.getvalue()


def wrap_evenly(text: str, width: int) -> str:
    r"""Break *text* into as few lines as fit *width* characters, about equally long.

    >>> wrap_evenly("tunnel prod to staging is down", 26)
    'tunnel prod to\nstaging is down'
    """
    lines = textwrap.wrap(text, width)
    for narrower in range(width - 1, 0, -1):
        closer = textwrap.wrap(text, narrower, break_long_words=False)
        if len(closer) > len(lines) or max(map(len, closer)) > narrower:
            break
        lines = closer
    return "\n".join(lines)


def _dashed(look: StateStyle) -> dict[str, Any]:
    return {"linestyle": (0, look.dashes)} if look.dashes else {}
