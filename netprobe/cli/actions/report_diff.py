"""``netprobe report diff``: loads two moments and compares them; ``report save`` keeps one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from netprobe.analysis.queries.comparison import (
    ChangeKind,
    Comparison,
    compare_judged,
    compare_snapshots,
)
from netprobe.cli.actions.output import deliver_report
from netprobe.cli.options.output import ReportOutput
from netprobe.cli.options.source import Source
from netprobe.echo import echo
from netprobe.errors import InputError
from netprobe.model.snapshot import Snapshot
from netprobe.render.labels import verdict
from netprobe.render.reports.comparison import ComparisonReport
from netprobe.store.bundle import read_bundle, write_bundle
from netprobe.store.verification import read_verification

_WORSE = tuple(kind.value for kind in ChangeKind if kind.is_worse)


def run_diff(
    before: Path | None, after: Path | None, source: Source, *, fail_on: str, slower: float,
    output: ReportOutput,
) -> int:  # fmt: skip
    """Compare two moments and report; 1 if a change of *fail_on* happened."""
    kinds = read_kinds(fail_on)
    compared = ComparisonReport(_compare(before, after, source, slower), kinds)
    deliver_report(compared, output)
    return 1 if compared.is_refused else 0


def run_save(directory: Path, source: Source) -> None:
    """Write the present moment as a bundle."""
    snapshot = source.load()
    write_bundle(directory, snapshot)
    echo(verdict(snapshot))
    echo(f"  {directory}")


def read_kinds(text: str) -> frozenset[ChangeKind]:
    """The kinds of changes named in *text*, separated by commas; :class:`InputError` for an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in _WORSE:
            raise InputError(f"{name!r} is not one of {', '.join(_WORSE)}", where="--fail-on")
    return frozenset(map(ChangeKind, names))


def _compare(before: Path | None, after: Path | None, source: Source, slower: float) -> Comparison:
    if before is not None and before.is_file():
        if after is None or not after.is_file():
            raise InputError(
                "give a second file of `netprobe verify -o json` to compare it with", where=str(before)
            )
        return compare_judged(read_verification(before), read_verification(after))
    bundles = [read_bundle(path).snapshot for path in (before, after) if path is not None]
    moments = source.moments  # a bundle that cannot be read is an error before any collector is asked
    if not 1 <= len(bundles) + len(moments) <= 2:
        raise InputError(
            "give two snapshots to compare: bundles, --at times, or one of either (compared with now)"
        )
    old, new = [*bundles, *map(source.load_at, moments), *_load_now(source, bundles, moments)]
    return compare_snapshots(old, new, slower_factor=slower)


def _load_now(source: Source, bundles: Sequence[Snapshot], moments: Sequence[int]) -> Iterator[Snapshot]:
    if len(bundles) + len(moments) < 2:
        yield source.load_at(None)
