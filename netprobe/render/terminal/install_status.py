"""What stands in which cluster: how many agents report, and what is in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from netprobe.render.documents.snapshot import Document
from netprobe.render.terminal.tables import new_table

_COLUMNS = {"collector": "COLLECTOR", "agent-pod": "POD AGENTS", "agent-host": "HOST AGENTS"}


@dataclass(frozen=True, slots=True)
class InstallStatus:
    """One cluster: *parts* maps a part's name to how many of it report, of how many."""

    name: str
    parts: Mapping[str, tuple[int, int]]
    problems: tuple[str, ...]
    is_good: bool


def installed_table(seen: Sequence[InstallStatus]) -> RenderableType:
    """One row per cluster, and below it everything that is in the way."""
    table = new_table("CLUSTER", *_COLUMNS.values(), "STATE", grow="CLUSTER")
    for one in seen:
        state = Text("✓ reports", style="green") if one.is_good else Text(_state(one), style="yellow")
        table.add_row(one.name, *(_cell(one.parts.get(part)) for part in _COLUMNS), state)
    lines = [Text(f"! {one.name}: {problem}", style="yellow") for one in seen for problem in one.problems]
    return Group(table, *([Text(""), *lines] if lines else []))


def installed_document(seen: Sequence[InstallStatus]) -> Document:
    """The same for programs."""
    return {
        "clusters": [
            {
                "name": one.name,
                "good": one.is_good,
                "parts": {
                    name: {"ready": ready, "wanted": wanted} for name, (ready, wanted) in one.parts.items()
                },
                "problems": list(one.problems),
            }
            for one in seen
        ]
    }


def _state(one: InstallStatus) -> str:
    if not one.parts:
        return "✕ see below" if one.problems else "–"
    return "✕ see below" if one.problems else "… not all report"


def _cell(count: tuple[int, int] | None) -> Text:
    if count is None:
        return Text("–", style="bright_black")
    ready, wanted = count
    return Text(f"{ready}/{wanted}", style="" if ready >= wanted > 0 else "yellow")
