"""The diagnosis table: open findings with their blast radius, then past incidents."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.table import Table

from netprobe.analysis.queries.blast_radius import BlastRadius, find_blast_radius
from netprobe.model.snapshot import Snapshot
from netprobe.render.labels import (
    Names,
    count,
    duration,
    lasted_ns,
    moment,
)
from netprobe.render.terminal.tables import (
    finding_block,
    headed,
    list_parts,
    new_table,
)

_SHOWN_PAIRS = 3


def diagnosis_table(snapshot: Snapshot) -> RenderableType:
    """Every open finding, most certain first, with its evidence and blast radius; then past incidents."""
    names = Names.of(snapshot.inventory)
    blocks: list[RenderableType] = [
        finding_block(
            number, finding, snapshot.taken_ns, more=_blast_rows(find_blast_radius(snapshot, finding), names)
        )
        for number, finding in enumerate(snapshot.findings, start=1)
    ]
    if snapshot.past_findings:
        blocks.append(_incidents(snapshot))
    return headed(snapshot, *blocks)


def _blast_rows(radius: BlastRadius, names: Names) -> Iterable[tuple[str, str]]:
    if radius.pairs:
        shown = [
            f"{number} {names.short.get(source, source)} → {names.short.get(target, target)}"
            for source, target, number in radius.by_cluster[:_SHOWN_PAIRS]
        ]
        more = len(radius.by_cluster) - _SHOWN_PAIRS
        listed = ", ".join(shown) + (f" and {count(more, 'more pair')} of clusters" if more > 0 else "")
        yield "", f"{count(len(radius.pairs), 'node pair')}: {listed}"
    if radius.services:
        shown = [_short(name, names) for name in radius.services[:_SHOWN_PAIRS]]
        more = len(radius.services) - _SHOWN_PAIRS
        yield "", ", ".join(shown) + (f" and {count(more, 'more service')}" if more > 0 else "")


def _short(name: str, names: Names) -> str:
    cluster, _, rest = name.partition("/")
    return f"{rest} of {names.short.get(cluster, cluster)}"


def _incidents(snapshot: Snapshot) -> Table:
    table = new_table("BEGAN", "LASTED", "CAUSE", "WHERE", "PATHS", right=("PATHS",), grow="WHERE")
    table.title, table.title_justify, table.title_style = "Past incidents", "left", "bold"
    for finding in snapshot.past_findings:
        table.add_row(
            moment(finding.first_seen_ns).removesuffix(" UTC") or "–",
            duration(lasted_ns(finding)),
            str(finding.cause),
            list_parts(finding.components, most=2),
            str(len(finding.affected)),
        )
    return table
