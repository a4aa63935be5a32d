"""``netprobe verify --context``: the options of a visit to clusters, and what is told of it."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Group, RenderableType

from netprobe import __version__
from netprobe.analysis.intent.sample import Sample
from netprobe.cli.options.output import write_files
from netprobe.discovery.k8s.kubeconfig import Context, find_kubeconfigs, read_contexts
from netprobe.errors import InputError
from netprobe.model.intent import CellResult
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.model.units import SECOND_NS
from netprobe.render.labels import is_broken
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.render.reports.snapshot import SnapshotReport, build_report_files
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.tables import findings_table
from netprobe.workflows.verification_request import VerifyRequest
from netprobe.workflows.visit.mesh import visit_clusters
from netprobe.workflows.visit.session import VisitSettings
from netprobe.workflows.visit.verification import look_on_visit

R = TypeVar("R")
REPORT_FORMS = ("html", "markdown", "json", "junit")
IMAGE = f"ghcr.io/netprobe/netprobe-agent:{__version__}"


@dataclass(frozen=True, slots=True)
class VisitOptions:
    """What the options say."""

    names: tuple[str, ...]
    all_contexts: bool
    files: tuple[Path, ...]
    report: Path | None
    settings: VisitSettings

    @property
    def is_asked(self) -> bool:
        """Whether clusters are to be visited at all."""
        return bool(self.names) or self.all_contexts

    def contexts(self) -> tuple[Context, ...]:
        """The contexts to visit; `InputError` where there are none or one does not exist."""
        if self.names and self.all_contexts:
            raise InputError("--context and --all-contexts exclude each other")
        found = self.files or find_kubeconfigs(os.environ, home=Path.home())
        if not found:
            raise InputError("no kubeconfig: give --kubeconfig FILE or set KUBECONFIG")
        return read_contexts(found).choose(self.names, everything=self.all_contexts)


def visit_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of a visit; it receives them as *visiting*."""

    @functools.wraps(command)
    def with_visiting(
        *args: object, names: tuple[str, ...], all_contexts: bool, files: tuple[Path, ...],
        report: Path | None, image: str, rounds: int, interval: float, patience: float, **rest: object,
    ) -> R:  # fmt: skip
        settings = VisitSettings(
            image=image, rounds=rounds, interval_ns=round(interval * SECOND_NS), patience_s=patience
        )
        visiting = VisitOptions(names, all_contexts, files, report, settings)
        return command(*args, visiting=visiting, **rest)

    options = (
        click.option("--context", "names", multiple=True, metavar="NAME",
                     help="Visit this kubeconfig context; repeat it for several."),
        click.option("--all-contexts", is_flag=True, help="Visit every context of every file."),
        click.option("--kubeconfig", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
                     help="A kubeconfig file; repeatable. By default $KUBECONFIG, or ~/.kube/config."),
        click.option("--report", type=click.Path(path_type=Path), metavar="DIR",
                     help="Also write reports and pictures of the visit here."),
        click.option("--image", default=IMAGE, show_default=True, envvar="NETPROBE_AGENT_IMAGE",
                     show_envvar=True, metavar="IMAGE", help="The agents' image."),
        click.option("--rounds", type=click.IntRange(3, 1000), default=8, show_default=True, metavar="N",
                     help="How often everything is asked."),
        click.option("--interval", type=click.FloatRange(1.0, 60), default=2.0, show_default=True,
                     metavar="SECONDS", help="How long one round lasts."),
        click.option("--patience", type=click.FloatRange(1.0), default=90.0, show_default=True,
                     metavar="SECONDS", help="How long agents may take until they run."),
    )  # fmt: skip
    for option in reversed(options):
        with_visiting = option(with_visiting)
    return with_visiting


class VisitSubject(SnapshotReport):
    """The moment of a visit: its table is the matrix, and what is wrong."""

    def table(self) -> RenderableType:
        """Who reaches whom, and findings if there are any."""
        matrix = matrix_table(self.snapshot)
        return Group(matrix, findings_table(self.snapshot)) if self.snapshot.findings else matrix


def visit(visiting: VisitOptions, tell: Callable[[ReportSubject], None]) -> int:
    """Visit, print, and return the exit code."""
    contexts = visiting.contexts()
    seen = _run(visit_clusters(contexts, visiting.settings, _tell_progress))
    tell(VisitSubject(seen.snapshot))
    _tell_untested(seen.untested)
    if visiting.report is not None:
        files = build_report_files(seen.snapshot, REPORT_FORMS)
        write_files({visiting.report / name: raw for name, raw in files.items()})
    return exit_code(seen.snapshot)


def exit_code(snapshot: Snapshot) -> int:
    """0, 1 where something is broken, 2 where nothing at all was measured."""
    if is_broken(snapshot):
        return 1
    return 0 if any(path.state is PathState.UP for path in snapshot.paths) else 2


def visit_with(visiting: VisitOptions, terms: VerifyRequest) -> tuple[Sample, tuple[CellResult, ...]]:
    """Visit and ask what an intent needs to know."""
    contexts = visiting.contexts()
    looked = _run(look_on_visit(contexts, visiting.settings, terms, _tell_progress))
    _tell_untested(looked.untested)
    return looked.sample, looked.judged


def _tell_progress(line: str) -> None:
    click.echo(f"netprobe: {line}", err=True)


def _tell_untested(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"not tested: {line}", err=True)


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
