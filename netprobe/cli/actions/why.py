"""``netprobe why``: explains one pair from the snapshot, and asks a few checks now if it may."""

from __future__ import annotations

from pathlib import Path

from netprobe.analysis.queries.endpoints import find_end
from netprobe.analysis.queries.path_explanation import explain_pair, find_questions
from netprobe.analysis.queries.slow_probes import ProbePath, find_patient_questions
from netprobe.cli.actions.evidence import load_snapshot
from netprobe.cli.actions.output import print_view
from netprobe.cli.options.evidence import EvidenceChoice
from netprobe.cli.options.source import Source
from netprobe.errors import InputError
from netprobe.model.check import Check
from netprobe.model.status import PathState
from netprobe.render.component_state import read_component_states
from netprobe.render.terminal.path_explanation import why_document, why_table
from netprobe.workflows.recordings import PacketBook

_MOST_ASKED = 6
"""Checks asked on demand at most."""
_NO_AGENT = "not asked: no agent here is alive"


def run_why(
    source: Source, origin: str, target: str, *, form: str, ask: bool, patient: bool,
    evidence: EvidenceChoice, pcap: Path | None,
) -> int:  # fmt: skip
    """Print whether *origin* reaches *target* and why; 0 it does, 1 it does not, or it is unknown."""
    if pcap is not None and not (ask or patient):
        raise InputError("no packet is sent without --ask or --patient", where="--pcap")
    book = PacketBook(pcap) if pcap is not None else None
    snapshot = load_snapshot(source, evidence=evidence)
    ends = find_end(snapshot.inventory, origin), find_end(snapshot.inventory, target)
    answer = explain_pair(snapshot, *ends, feels=read_component_states(snapshot).of)
    asked = _ask(source, find_questions(snapshot, answer, most=_MOST_ASKED), book) if ask else ()
    asked += _ask_patiently(source, find_patient_questions(snapshot, answer), book) if patient else ()
    if book is not None:
        book.write()
    print_view(
        form,
        table=lambda: why_table(snapshot, answer, asked=asked),
        document=lambda: why_document(snapshot, answer, asked=asked),
    )
    return 0 if answer.state is PathState.UP else 1


def _ask(source: Source, checks: tuple[Check, ...], book: PacketBook | None) -> tuple[str, ...]:
    _expect_live(source, "--ask")
    from netprobe.workflows.on_demand import ask_now  # noqa: PLC0415 - a bundle is read without any bus

    return ask_now(source.find_access(), checks, book=book) if checks else (_NO_AGENT,)


def _ask_patiently(
    source: Source, question: tuple[ProbePath, tuple[Check, ...]] | None, book: PacketBook | None
) -> tuple[str, ...]:
    _expect_live(source, "--patient")
    from netprobe.workflows.on_demand import ask_patiently  # noqa: PLC0415 - a bundle is read without any bus

    return ask_patiently(source.find_access(), *question, book=book) if question else (_NO_AGENT,)


def _expect_live(source: Source, option: str) -> None:
    """A bundle cannot answer."""
    if source.bundle is not None:
        raise InputError(f"{option} needs a live lab or collector; a bundle cannot answer")
