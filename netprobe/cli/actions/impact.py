"""``netprobe impact``: finds the components that are named, and what depends on them."""

from __future__ import annotations

from netprobe.analysis.queries.endpoints import EndpointKind, find_end
from netprobe.analysis.queries.weak_points import (
    build_map,
    find_cut_off,
    find_dead_links,
    find_parts_of,
    find_way_around,
)
from netprobe.cli.actions.output import print_view
from netprobe.cli.options.source import Source
from netprobe.errors import InputError
from netprobe.model.component import Component, tunnel
from netprobe.model.names import NodeId
from netprobe.model.snapshot import Snapshot
from netprobe.render.terminal.weak_points import impact_document, impact_table


def run_impact(source: Source, words: tuple[str, ...], *, form: str) -> None:
    """Print what depends on the components that *words* name."""
    snapshot = source.load()
    name, dead = _find_parts(snapshot, words)
    lost = find_cut_off(snapshot, dead)
    graph, gone = build_map(snapshot.inventory), (*dead, *find_dead_links(snapshot))
    pairs = sorted({(a, b) for a, b in (sorted((s.cluster, t.cluster)) for s, t in lost.pairs) if a != b})
    ways = [(pair, find_way_around(graph, gone, source=pair[0], target=pair[1])) for pair in pairs]
    print_view(
        form,
        table=lambda: impact_table(snapshot, name, lost, ways),
        document=lambda: impact_document(snapshot, name, lost, ways),
    )


def _find_parts(snapshot: Snapshot, words: tuple[str, ...]) -> tuple[str, frozenset[Component]]:
    text = " ".join(words)
    crossed = {part for legs in snapshot.legs for part in legs.crossed}
    if "(" in text:
        part = Component.parse(text)
        return text, _crossed(text, frozenset((part,)) & crossed)
    ends = [find_end(snapshot.inventory, word) for word in words]
    if len(ends) == 1 and ends[0].kind is EndpointKind.NODE:
        return ends[0].name, _crossed(text, find_parts_of(snapshot, NodeId.parse(ends[0].name)))
    if len(ends) == 2 and all(end.kind is EndpointKind.CLUSTER for end in ends):
        one, other = (end.cluster for end in ends)
        both = {part for part in crossed if part in {tunnel(one, other), tunnel(other, one)}}
        return f"the link {one} ↔ {other}", _crossed(f"a link {one} ↔ {other}", frozenset(both))
    raise InputError(f"{text!r} is not a node, a pair of clusters or a component such as tunnel(prod→dev)")


def _crossed(name: str, parts: frozenset[Component]) -> frozenset[Component]:
    if not parts:
        raise InputError(f"no check crosses {name}, so what depends on it is unknown")
    return parts
