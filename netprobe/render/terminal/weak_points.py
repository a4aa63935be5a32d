"""Weak points, and the impact of one failing component, as tables and documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType

from netprobe.analysis.queries.weak_points import (
    ClusterPair,
    CutOff,
    WeakPoint,
    find_cut_pairs,
    find_islands,
    find_weak_points,
)
from netprobe.model.component import Component, ComponentKind
from netprobe.model.names import ClusterName
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.snapshot import Document, view_document
from netprobe.render.labels import Names, count
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import headed, new_table

_SHOWN = 20
_SHOWN_PAIRS = 3


def weak_points_table(snapshot: Snapshot) -> RenderableType:
    """Clusters that are cut off now, then each weak point with its alternative path."""
    names = Names.of(snapshot.inventory)
    weak = find_weak_points(snapshot)
    table = new_table("PART", "CUTS OFF IF IT FAILS", "ALTERNATIVE NOW", grow="CUTS OFF IF IT FAILS")
    for point in weak[:_SHOWN]:
        table.add_row(_part(point.components, names), _pairs(point.cuts, names), _around(point, names))
    blocks: list[RenderableType] = [Text(line) for line in _now(snapshot, names)]
    blocks.append(table if weak else Text("No check runs between two clusters, so no path is known."))
    if len(weak) > _SHOWN:
        blocks.append(Text(f"and {len(weak) - _SHOWN} more", style="bright_black"))
    if any(path for point in weak for path in point.around.values()):
        blocks.append(Text("An alternative may need routes that are not configured.", style="bright_black"))
    return headed(snapshot, *blocks)


def _now(snapshot: Snapshot, names: Names) -> Iterable[str]:
    cut = find_cut_pairs(snapshot)
    yield f"cut off now: {_pairs(cut, names)}" if cut else "no two clusters are cut off from each other now"
    islands = find_islands(snapshot)
    if cut and len(islands) > 1:
        yield "islands: " + " | ".join(", ".join(_short(c, names) for c in island) for island in islands)


def _part(components: Sequence[Component], names: Names) -> str:
    first = components[0]
    if first.kind is ComponentKind.TUNNEL:
        ends = f"{' ↔ '.join(_short(each.cluster, names) for each in (first, first.reverse()))}"
        return f"{names.kind_of(first)} {ends} {first.link}".rstrip()
    gateway = first.node
    return f"gateway {_short(first.cluster, names)}/{gateway.node if gateway else ''}"


def _short(cluster: str, names: Names) -> str:
    return names.short.get(cluster, cluster)


def _pairs(pairs: Sequence[ClusterPair], names: Names) -> str:
    shown = ", ".join(f"{_short(a, names)} ↔ {_short(b, names)}" for a, b in pairs[:_SHOWN_PAIRS])
    return shown + (f" and {len(pairs) - _SHOWN_PAIRS} more" if len(pairs) > _SHOWN_PAIRS else "")


def _around(point: WeakPoint, names: Names) -> str:
    inner_paths = {tuple(path[1:-1]) for path in point.around.values()}
    available = {path for pair, path in point.around.items() if path}
    if not available:
        return "none"
    if len(inner_paths) > 1:
        return f"for {len([path for path in point.around.values() if path])} of {len(point.around)}"
    (inner,) = inner_paths
    return f"via {', '.join(_short(c, names) for c in inner)}" if inner else "another link"


def weak_points_document(snapshot: Snapshot) -> Document:
    """``netprobe/weak-points``: ``cut_off_now[]``, ``islands[]`` and ``weak_points[]``, the worst first."""
    return view_document(
        "weak-points",
        snapshot,
        {
            "cut_off_now": [list(pair) for pair in find_cut_pairs(snapshot)],
            "islands": [list(island) for island in find_islands(snapshot)],
            "weak_points": [
                {
                    "components": list(map(str, point.components)),
                    "cuts_off": [
                        {"clusters": list(pair), "way_around": list(point.around[pair]) or None}
                        for pair in point.cuts
                    ],
                }
                for point in find_weak_points(snapshot)
            ],
        },
    )


def impact_table(
    snapshot: Snapshot,
    name: str,
    lost: CutOff,
    alternatives: Sequence[tuple[ClusterPair, tuple[ClusterName, ...]]],
) -> RenderableType:
    """What would be cut off if the component *name* failed; *alternatives* are the paths around it."""
    names = Names.of(snapshot.inventory)
    counts: dict[ClusterPair, int] = {}
    for source, target in lost.pairs:
        ends = (source.cluster, target.cluster)
        counts[ends] = counts.get(ends, 0) + 1
    around = dict(alternatives)
    table = new_table(
        "FROM", "TO", "NODE PAIRS", "ALTERNATIVE NOW", right=("NODE PAIRS",), grow="ALTERNATIVE NOW"
    )
    for (source_name, target_name), number in counts.items():
        one, other = sorted((source_name, target_name))
        path = around.get((one, other), ())
        detour = "–" if one == other else " – ".join(_short(c, names) for c in path) or "none"
        table.add_row(_short(source_name, names), _short(target_name, names), str(number), detour)
    asked = count(lost.asked, "node pair")
    head = f"If {name} failed, {len(lost.pairs)} of {asked} that are asked would be cut off."
    blocks: list[RenderableType] = [Text(head, style="bold")]
    blocks += [table] if counts else []
    if lost.services:
        services = [f"{service} from {_short(cluster, names)}" for cluster, service in lost.services[:6]]
        blocks.append(Text(f"completely lost: {', '.join(services)}"))
    return headed(snapshot, *blocks)


def impact_document(
    snapshot: Snapshot,
    name: str,
    lost: CutOff,
    alternatives: Sequence[tuple[ClusterPair, tuple[ClusterName, ...]]],
) -> Document:
    """``netprobe/impact``: ``node_pairs[]`` and ``services[]`` that would be lost, ``ways_around[]``."""
    return view_document(
        "impact",
        snapshot,
        {
            "part": name,
            "node_pairs": [{"source": str(source), "target": str(target)} for source, target in lost.pairs],
            "node_pairs_asked": lost.asked,
            "services": [{"from": cluster, "service": service} for cluster, service in lost.services],
            "ways_around": [
                {"clusters": list(pair), "way": list(path) or None} for pair, path in alternatives
            ],
        },
    )
