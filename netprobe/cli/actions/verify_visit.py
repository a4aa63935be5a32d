"""``netprobe verify --context``: visits clusters and reports what their agents see."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterable
from typing import TypeVar

from rich.console import Group, RenderableType

from netprobe.analysis.intent.sample import Sample
from netprobe.cli.actions.output import deliver_report, write_files
from netprobe.cli.options.output import ReportOutput
from netprobe.cli.options.visit import VisitOptions
from netprobe.echo import echo
from netprobe.model.intent import CellResult
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.labels import is_broken
from netprobe.render.reports.snapshot import SnapshotReport, build_report_files
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.tables import findings_table
from netprobe.workflows.verification_request import VerifyRequest
from netprobe.workflows.visit.mesh import visit_clusters
from netprobe.workflows.visit.verification import look_on_visit

R = TypeVar("R")
REPORT_FORMS = ("html", "markdown", "json", "junit")


class VisitSubject(SnapshotReport):
    """The moment of a visit: its table is the matrix, and what is wrong."""

    def table(self) -> RenderableType:
        """Who reaches whom, and findings if there are any."""
        matrix = matrix_table(self.snapshot)
        return Group(matrix, findings_table(self.snapshot)) if self.snapshot.findings else matrix


def run_visit(visiting: VisitOptions, output: ReportOutput) -> int:
    """Visit, print, and return the exit code."""
    contexts = visiting.selection.read()
    seen = _run(visit_clusters(contexts, visiting.settings(), _print_progress))
    deliver_report(VisitSubject(seen.snapshot), output)
    _print_untested(seen.untested)
    if visiting.report is not None:
        files = build_report_files(seen.snapshot, REPORT_FORMS)
        write_files({visiting.report / name: raw for name, raw in files.items()})
    return exit_code(seen.snapshot)


def exit_code(snapshot: Snapshot) -> int:
    """0, 1 where something is broken, 2 where nothing at all was measured."""
    if is_broken(snapshot):
        return 1
    return 0 if any(path.state is PathState.UP for path in snapshot.paths) else 2


def visit_with(visiting: VisitOptions, request: VerifyRequest) -> tuple[Sample, tuple[CellResult, ...]]:
    """Visit and ask what an intent needs to know."""
    contexts = visiting.selection.read()
    looked = _run(look_on_visit(contexts, visiting.settings(), request, _print_progress))
    _print_untested(looked.untested)
    return looked.sample, looked.judged


def _print_progress(line: str) -> None:
    echo(f"netprobe: {line}", err=True)


def _print_untested(lines: Iterable[str]) -> None:
    for line in lines:
        echo(f"not tested: {line}", err=True)


def _run(visiting: Coroutine[None, None, R]) -> R:
    """Run a visit, which SIGTERM ends as orderly as Ctrl-C does."""

    async def until_told() -> R:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await visiting

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
