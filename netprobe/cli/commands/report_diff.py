"""``netprobe report diff``: two moments compared, as a gate for upgrades; ``report save`` keeps the first.

Exit codes: 0 nothing that is not allowed, 1 worse than ``--fail-on`` allows, 2 could not be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from netprobe.analysis.queries.comparison import (
    SLOWER_FACTOR,
    ChangeKind,
    Comparison,
    compare_judged,
    compare_snapshots,
)
from netprobe.cli.options.output import report_options
from netprobe.cli.options.source import Source, source_options
from netprobe.errors import InputError
from netprobe.model.snapshot import Snapshot
from netprobe.render.labels import verdict
from netprobe.render.reports.comparison import ComparisonReport
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.store.bundle import read_bundle, write_bundle
from netprobe.store.verification import read_verification

_WORSE = tuple(kind.value for kind in ChangeKind if kind.is_worse)
_PATH = click.Path(path_type=Path)


def _read_kinds(context: click.Context, option: click.Parameter, text: str) -> frozenset[ChangeKind]:
    del context, option
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in _WORSE:
            raise InputError(f"{name!r} is none of {', '.join(_WORSE)}", where="--fail-on")
    return frozenset(map(ChangeKind, names))


@click.command()
@click.argument("before", type=_PATH, required=False)
@click.argument("after", type=_PATH, required=False)
@source_options
@click.option("--fail-on", default="broken,leak", show_default=True, metavar="KINDS", callback=_read_kinds,
              help=f"Exit 1 if any of these happened: {', '.join(_WORSE)}; '' for none.")  # fmt: skip
@click.option("--slower", type=click.FloatRange(min=1, min_open=True), default=SLOWER_FACTOR,
              show_default=True, metavar="FACTOR",
              help="By how much a median round trip must grow to count as slower.")  # fmt: skip
@report_options
@click.pass_context
def diff(
    context: click.Context, *, before: Path | None, after: Path | None, source: Source,
    fail_on: frozenset[ChangeKind], slower: float, tell: Callable[[ReportSubject], None],
) -> None:  # fmt: skip
    """Compare BEFORE with AFTER, or with now: what broke, was repaired, opened, became slower.

    Both are evidence bundles (`netprobe report save`), or both what `netprobe verify -o json` wrote. Instead
    of either, --at names a moment of the collector's history; what is not named is now. An upgrade gate:

    \b
      netprobe report save before/
      ... upgrade ...
      netprobe report diff before/ --fail-on broken,leak,slower
    \b
      netprobe report diff --at 2h                  # two hours ago against now
      netprobe report diff --at 03:00 --at 03:30    # two moments of last night
    """  # noqa: D301 - click knows a real backspace
    compared = ComparisonReport(_compare(before, after, source, slower), fail_on)
    tell(compared)
    context.exit(1 if compared.is_refused else 0)


def _compare(before: Path | None, after: Path | None, source: Source, slower: float) -> Comparison:
    if before is not None and before.is_file():
        if after is None or not after.is_file():
            raise InputError("is compared with another file of netprobe verify", where=str(before))
        return compare_judged(read_verification(before), read_verification(after))
    bundles = [read_bundle(path).snapshot for path in (before, after) if path is not None]
    moments = source.moments  # wrong names of bundles are said before anybody is asked
    if not 1 <= len(bundles) + len(moments) <= 2:
        raise InputError("two moments are compared: bundles, times (--at), or one of them with now")
    old, new = [*bundles, *map(source.load_at, moments), *_load_now(source, bundles, moments)]
    return compare_snapshots(old, new, slower_factor=slower)


def _load_now(source: Source, bundles: Sequence[Snapshot], moments: Sequence[int]) -> Iterator[Snapshot]:
    if len(bundles) + len(moments) < 2:
        yield source.load_at(None)


@click.command()
@click.argument("directory", type=_PATH)
@source_options
def save(*, directory: Path, source: Source) -> None:
    """Keep the present moment as an evidence bundle in DIRECTORY: checksummed, to be read by --from."""
    snapshot = source.load()
    write_bundle(directory, snapshot)
    click.echo(verdict(snapshot))
    click.echo(f"  {directory}")
