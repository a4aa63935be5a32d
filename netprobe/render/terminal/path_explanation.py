"""Why one endpoint reaches another or not: a table of layers, the conclusion and its reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from netprobe.analysis.claims.quotes import LinkClaims, quote_claim
from netprobe.analysis.queries.path_explanation import PathExplanation, PathStep
from netprobe.model.fabric import ClaimState
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.documents.snapshot import Document, view_document
from netprobe.render.labels import duration, moment
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import STYLES, new_table, state_text


def why_table(snapshot: Snapshot, why: PathExplanation, *, asked: Sequence[str] = ()) -> RenderableType:
    """The table of layers; *asked* lists the checks that were asked just now, one line each."""
    table = new_table(
        "LAYER", "STATE", "ANSWERED", "WHAT WAS SEEN", right=("ANSWERED",), grow="WHAT WAS SEEN"
    )
    for step in why.steps:
        table.add_row(step.layer, _state(step), _answered(step), step.told)
    lines: list[RenderableType] = [
        Text(f"{why.source.name} → {why.target.name}", style="bold"),
        Text(
            f"taken {moment(snapshot.taken_ns)}, every {duration(snapshot.interval_ns)}", style="bright_black"
        ),
        Text(""),
        table,
        Text(""),
        Text(why.sentence, style=f"bold {STYLES[why.state]}"),
    ]
    rows = [*why.reasons, *map(str, quote_claims(snapshot, why)), *(f"asked now: {line}" for line in asked)]
    if why.finding is not None and why.finding.next_step:
        rows.append(f"next: {why.finding.next_step}")
    return Group(*lines, Padding(_bullets(rows), (0, 0, 0, 1)))


def quote_claims(snapshot: Snapshot, why: PathExplanation) -> Iterator[Prose]:
    """What fabrics claim about the link that the pair crosses, for or against what was measured.

    What a reason quotes already is left out.
    """
    for claim in LinkClaims(snapshot).about(why.source.cluster, why.target.cluster):
        told = quote_claim(claim, now_ns=snapshot.taken_ns)
        if any(str(told) in reason for reason in why.reasons):
            continue
        if claim.state is ClaimState.UNKNOWN or why.state not in (PathState.UP, PathState.DOWN):
            yield Prose(f"claimed: {told}")
        elif claim.state.is_well is (why.state is PathState.UP):
            yield Prose(f"claimed for it: {told}")
        else:
            yield Prose(f"claimed against it: {told}")


def _bullets(rows: Sequence[str]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row("·", Text(row))
    return grid


def _state(step: PathStep) -> Text:
    return Text("–", style="bright_black") if step.state is None else state_text(step.state)


def _answered(step: PathStep) -> str:
    return f"{step.answered} of {step.sent}" if step.sent else "–"


def why_document(snapshot: Snapshot, why: PathExplanation, *, asked: Sequence[str] = ()) -> Document:
    """``netprobe/why``: the pair, its ``state``, ``sentence`` and ``reasons[]``, and ``layers[]`` in order.

    A layer's ``state`` is null if this path does not use it; counts are null if it was not measured.
    """
    return view_document(
        "why",
        snapshot,
        {
            "source": why.source.name,
            "target": why.target.name,
            "state": why.state.value,
            "sentence": why.sentence,
            "reasons": list(why.reasons),
            "claims": [str(told) for told in quote_claims(snapshot, why)],
            "finding": why.finding.id if why.finding else None,
            "next_step": (why.finding.next_step or None) if why.finding else None,
            "asked_now": list(asked),
            "layers": [
                {
                    "layer": step.layer,
                    "state": step.state.value if step.state else None,
                    "checks": step.checks,
                    "sent": step.sent if step.checks else None,
                    "answered": step.answered if step.checks else None,
                    "told": step.told or None,
                }
                for step in why.steps
            ],
        },
    )
