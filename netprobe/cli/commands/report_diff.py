"""``netprobe report diff``: two moments compared, as a gate for upgrades; ``report save`` keeps the first.

Exit codes: 0 nothing but allowed changes, 1 changes of ``--fail-on``, 2 the moments could not be compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from netprobe.cli.options.output import ReportOutput, report_options
from netprobe.cli.options.registry import RegistryOption
from netprobe.cli.options.source import Source, source_options

_PATH = click.Path(path_type=Path)


def _failing_kinds() -> Iterable[str]:
    from netprobe.analysis.queries.comparison import ChangeKind

    return (kind for kind in ChangeKind if kind.is_worse)


def _slower_factor() -> float:
    from netprobe.analysis.queries.comparison import SLOWER_FACTOR

    return SLOWER_FACTOR


@click.command()
@click.argument("before", type=_PATH, required=False)
@click.argument("after", type=_PATH, required=False)
@source_options
@click.option("--fail-on", default="broken,leak", show_default=True, metavar="KINDS", cls=RegistryOption,
              names=_failing_kinds, help="Exit 1 if any of these happened: %s; '' for none.")  # fmt: skip
@click.option("--slower", type=click.FloatRange(min=1, min_open=True), default=_slower_factor,
              cls=RegistryOption, show_default=True, metavar="FACTOR",
              help="By how much a median round trip must grow to count as slower.")  # fmt: skip
@report_options
@click.pass_context
def diff(
    context: click.Context, *, before: Path | None, after: Path | None, source: Source,
    fail_on: str, slower: float, output: ReportOutput,
) -> None:  # fmt: skip
    """Compare BEFORE with AFTER, or with now: what broke, was repaired, opened, became slower.

    Both are evidence bundles (`netprobe report save`), or both were written by `netprobe verify -o json`.
    Instead of either, --at names a moment of the collector's history; a moment not given is now. An upgrade
    gate:

    \b
      netprobe report save before/
      ... upgrade ...
      netprobe report diff before/ --fail-on broken,leak,slower
    \b
      netprobe report diff --at 2h                  # two hours ago against now
      netprobe report diff --at 03:00 --at 03:30    # two moments of last night
    """  # noqa: D301 - click knows a real backspace
    from netprobe.cli.actions.report_diff import run_diff

    context.exit(run_diff(before, after, source, fail_on=fail_on, slower=slower, output=output))


@click.command()
@click.argument("directory", type=_PATH)
@source_options
def save(*, directory: Path, source: Source) -> None:
    """Save the present moment as an evidence bundle in DIRECTORY: checksummed, readable with --from."""
    from netprobe.cli.actions.report_diff import run_save

    run_save(directory, source)
