"""The canvas of a figure: title, foot, shapes, measured texts, and export to PNG and SVG.

Rule: equal snapshots give equal bytes, so nothing here reads a clock or uses random numbers. Every text is
registered, so that a test can check whether any two overlap.
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

from netprobe.model.clean_text import clean
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
    PAPER,
    SOFT_INK,
    STATE_STYLES,
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
"""The z-order of leaders: above everything except the callouts."""
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
    styles: set[StateStyle] = field(default_factory=set)
    """Styles that the legend must explain."""

    @classmethod
    def blank(cls) -> Canvas:
        """An empty canvas."""
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
            drawn = self.axes.text(*at, clean(text), fontsize=size, color=colour, **{"zorder": 9, **more})
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
        """Put *text* at a point; if it is wider than *width*, shrink it down to *least*, then shorten it."""
        drawn = self.write(at, text, size=size, **more)
        rotation_deg = drawn.get_rotation()
        drawn.set_rotation(0)
        room = self.measure(drawn).width
        if room > width:
            drawn.set_fontsize(max(least, 0.97 * size * width / room))  # letters do not shrink evenly
        kept = len(text)
        while kept > 3 and self.measure(drawn).width > width:
            kept -= 1
            drawn.set_text(f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}")
        drawn.set_rotation(rotation_deg)
        return drawn

    def erase(self, text: Text) -> None:
        """Remove a text."""
        text.remove()
        self.texts.remove(text)

    def measure(self, text: Text) -> Rect:
        """The area of *text*, in units."""
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
        self, points: Sequence[Point], style: StateStyle, *, width: float | None = None, zorder: float = 2
    ) -> None:
        """A line in the style of a state."""
        self.styles.add(style)
        xs, ys = zip(*points, strict=True)
        self.axes.add_line(
            Line2D(
                xs, ys, color=style.colour, linewidth=width or style.width, zorder=zorder, **_dashed(style)
            )
        )

    def arrow(self, curve: Curve, style: StateStyle) -> None:
        """A curve with an arrowhead at its end."""
        self.styles.add(style)
        length = math.dist(curve.start, curve.end)
        shaft = curve.cut(0.0, max(0.5, 1 - (0.1 + 0.03 * style.width) / length))
        path = Path([shaft.start, shaft.bend, shaft.end], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
        head = 13 + 2.6 * style.width
        last = Path([curve.at(0.95), curve.end])
        self.axes.add_patch(
            FancyArrowPatch(path=path, arrowstyle="-", color=style.colour, linewidth=style.width, zorder=4,
                            linestyle=(0, style.dashes) if style.dashes else "solid", capstyle="butt")
        )  # fmt: skip
        self.axes.add_patch(
            FancyArrowPatch(path=last, arrowstyle="-|>", mutation_scale=head, color=style.colour,
                            linewidth=0.1, zorder=5)
        )  # fmt: skip

    def leader(self, start: Point, end: Point, colour: str) -> None:
        """The thin line from a callout to its anchor."""
        xs, ys = (start[0], end[0]), (start[1], end[1])
        self.axes.add_line(Line2D(xs, ys, color=colour, linewidth=0.9, zorder=LEADER))

    def thread(self, points: Sequence[Point]) -> None:
        """A faint line that groups elements."""
        xs, ys = zip(*points, strict=True)
        self.axes.add_line(Line2D(xs, ys, color=GROUP_EDGE, linewidth=2.5, zorder=2, solid_capstyle="round"))

    def tube(self, start: Point, end: Point, *, colour: str, width: float) -> None:
        """A wide soft band: a tunnel around its two arrows."""
        xs, ys = (start[0], end[0]), (start[1], end[1])
        self.axes.add_line(Line2D(xs, ys, color=colour, linewidth=width, solid_capstyle="butt", zorder=1))

    def mark(self, at: Point, style: StateStyle, *, size: float = 11) -> None:
        """The mark of a state on a disc, in the middle of a line."""
        self.axes.plot(*at, marker="o", markersize=size + 5, color=PAPER, markeredgecolor=style.colour,
                       markeredgewidth=1.6, zorder=7)  # fmt: skip
        self.write(
            at,
            style.mark,
            size=size,
            colour=style.colour,
            weight="bold",
            ha="center",
            va="center_baseline",
            zorder=8,
        )

    def dot(self, at: Point, style: StateStyle, *, marker: str, size: float) -> None:
        """A small shape in the colour of a state; hollow if it is unknown."""
        self.styles.add(style)
        fill = PAPER if style.mark == "?" else style.colour
        self.axes.plot(*at, marker=marker, markersize=size, color=fill, markeredgecolor=style.colour,
                       markeredgewidth=1.1, linestyle="none", zorder=7)  # fmt: skip

    # --- head and foot -----------------------------------------------------------------------

    def head(self, snapshot: Snapshot) -> None:
        """The verdict, and the size of the fleet."""
        text, state = verdict(snapshot), severity(snapshot)
        lines = textwrap.wrap(text, 100)[:2]
        title = self.write((0.45, 9.62), "\n".join(lines), size=17 if len(text) <= 80 else 13, weight="bold",
                           colour=INK if state is PathState.UP else STATE_STYLES[state].ink,
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
        """What was not measured, in the room to the right of the legend."""
        missing = unmeasured(snapshot)
        if not missing:
            return
        legend = [room.x + room.width for room in map(self.measure, self.texts) if room.y < 0.6]
        left = max(legend, default=0.0) + 0.5
        for columns in (62, 52, 42, 32):
            text = "\n".join(textwrap.wrap(f"not measured: {missing}", columns))
            drawn = self.write(
                (WIDTH - 0.45, 0.5), text, size=7.5, colour=SOFT_INK, ha="right", va="center", linespacing=1.3
            )
            if self.measure(drawn).x >= left or columns == 32:
                return
            self.erase(drawn)

    # --- out ---------------------------------------------------------------------------------

    def to_png(self, *, dpi: int = 160) -> bytes:
        """The figure as PNG."""
        with mpl.rc_context(_SETTINGS):
            raw = io.BytesIO()
            self.figure.savefig(raw, format="png", dpi=dpi, metadata={"Software": "netprobe"})
        return raw.getvalue()

    def to_svg(self) -> str:
        """The figure as SVG; texts are outlines, so that it looks the same everywhere."""
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


def _dashed(style: StateStyle) -> dict[str, Any]:
    return {"linestyle": (0, style.dashes)} if style.dashes else {}
