"""``netprobe intent``: what an intent file says, before anything is asked."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click
import msgspec

from netprobe.analysis.intent.read import load_intent
from netprobe.wire.intent import intent_schema


@click.group()
def intent() -> None:
    """Say what should be reachable and what must not be."""


@intent.command()
def schema() -> None:
    """Print the JSON Schema of an intent file, for editors and checks."""
    click.echo(msgspec.json.format(msgspec.json.encode(intent_schema()), indent=2).decode())


@intent.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Read FILE and print the rules it stands for, patterns and prerequisites expanded."""
    read = load_intent(path, today=dt.datetime.now(tz=dt.UTC).date())
    for rule in sorted(read.rules, key=lambda each: each.rank):
        doors = " ".join(str(span) for span in rule.spans or read.ports)
        scope = "" if rule.scope == "any" else f" ({rule.scope} clusters)"
        click.echo(f"{rule.expected:<5}  {_names(rule.sources)} → {_names(rule.targets)}{scope}: {doors}")
        until = f", by {rule.owner} until {rule.expires}" if rule.owner else ""
        click.echo(f"       {rule.name}{until}")
    if read.default:
        click.echo(f"{read.default:<5}  everything else on these doors")


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names)
