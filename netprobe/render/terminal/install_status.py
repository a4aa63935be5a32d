"""Installation status per cluster: how many agents report, and the problems found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType

from netprobe.render.documents.snapshot import Document
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import new_table

_COLUMNS = {"collector": "COLLECTOR", "agent-pod": "POD AGENTS", "agent-host": "HOST AGENTS"}


@dataclass(frozen=True, slots=True)
class InstallStatus:
    """One cluster: *parts* maps a workload to the number of its pods that report and that should."""

    name: str
    parts: Mapping[str, tuple[int, int]]
    problems: tuple[str, ...]
    is_good: bool


def installed_table(clusters: Sequence[InstallStatus]) -> RenderableType:
    """One row per cluster, and below the table every problem."""
    table = new_table("CLUSTER", *_COLUMNS.values(), "STATE", grow="CLUSTER")
    for cluster in clusters:
        state = (
            Text("✓ reporting", style="green") if cluster.is_good else Text(_state(cluster), style="yellow")
        )
        table.add_row(cluster.name, *(_cell(cluster.parts.get(part)) for part in _COLUMNS), state)
    lines = [
        Text(f"! {cluster.name}: {problem}", style="yellow")
        for cluster in clusters
        for problem in cluster.problems
    ]
    return Group(table, *([Text(""), *lines] if lines else []))


def installed_document(clusters: Sequence[InstallStatus]) -> Document:
    """The same as JSON."""
    return {
        "clusters": [
            {
                "name": cluster.name,
                "good": cluster.is_good,
                "parts": {
                    name: {"ready": ready, "wanted": wanted}
                    for name, (ready, wanted) in cluster.parts.items()
                },
                "problems": list(cluster.problems),
            }
            for cluster in clusters
        ]
    }


def _state(cluster: InstallStatus) -> str:
    if not cluster.parts:
        return "✕ see below" if cluster.problems else "–"
    return "✕ see below" if cluster.problems else "… not all reporting"


def _cell(count: tuple[int, int] | None) -> Text:
    if count is None:
        return Text("–", style="bright_black")
    ready, wanted = count
    return Text(f"{ready}/{wanted}", style="" if ready >= wanted > 0 else "yellow")
