"""``netprobe intent``: prints an intent's rules and schema, and writes one from what is reachable now."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import msgspec

from netprobe.analysis.intent.availability import find_absent
from netprobe.analysis.intent.baseline import Baseline, question_of, write_baseline
from netprobe.analysis.intent.document import load_intent, parse_span
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.bus.operator import Access, open_asker
from netprobe.cli.actions.output import print_document
from netprobe.cli.options.source import Source
from netprobe.echo import echo
from netprobe.errors import InputError
from netprobe.model.intent import PortRange, PortSpec
from netprobe.model.snapshot import Snapshot
from netprobe.wire.documents import write_document
from netprobe.wire.intent import intent_schema
from netprobe.workflows.verification import see_cells


def run_schema() -> None:
    """Print the JSON Schema of an intent file."""
    print_document(msgspec.json.format(msgspec.json.encode(intent_schema()), indent=2).decode())


def run_check(path: Path) -> None:
    """Print the rules of the file *path*, expanded."""
    read = load_intent(path, today=_today())
    for rule in sorted(read.rules, key=lambda each: each.rank):
        doors = " ".join(str(span) for span in rule.spans or read.ports)
        scope = "" if rule.scope == "any" else f" ({rule.scope} clusters)"
        echo(f"{rule.expected:<5}  {_names(rule.sources)} → {_names(rule.targets)}{scope}: {doors}")
        until = f", by {rule.owner} until {rule.expires}" if rule.owner else ""
        echo(f"       {rule.name}{until}")
    if read.default:
        echo(f"{read.default:<5}  everything else on these ports")


def run_from_observed(source: Source, ports: tuple[str, ...], responders: tuple[str, ...]) -> None:
    """Check *ports* now and print the intent that describes what answered."""
    spans = tuple(_span(text, where="--port") for text in ports)
    heard = [_span(text, where="--responder") for text in responders]
    snapshot = source.load()
    answering = frozenset(door for span in heard for door in span.port_specs())
    baseline = asyncio.run(_observe(source.find_access(), snapshot, spans, answering))
    if not baseline.document.rules:
        raise InputError("nothing at all could be proven: no agent answered")
    echo(f"# {baseline.cells - baseline.left_out:,} of {baseline.cells:,} cells, as seen on {_today()}.")
    if baseline.left_out:
        echo(f"# {baseline.left_out:,} could not be proven and are left out.")
    print_document(write_document(msgspec.to_builtins(baseline.document)))


async def _observe(
    access: Access, snapshot: Snapshot, spans: tuple[PortRange, ...], responders: frozenset[PortSpec]
) -> Baseline:
    cells = expand_cells(question_of(spans), snapshot.inventory)
    async with open_asker(access, asked_by="from-observed") as asker:
        absent = find_absent(snapshot)
        sights = await see_cells(asker, cells, agent_port=snapshot.inventory.agent_port, absent=absent)
    return write_baseline(cells, sights, snapshot.inventory, responders=responders)


def _span(text: str, *, where: str) -> PortRange:
    try:
        return parse_span(text)
    except InputError as error:
        raise InputError(error.what, where=where) from error


def _today() -> dt.date:
    return dt.datetime.now(tz=dt.UTC).date()


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names)
