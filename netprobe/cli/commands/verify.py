"""``netprobe verify``: is the network as people mean it, asked now, cell by cell.

Exit codes: 0 nothing broken and no leak, 1 something is, 2 the question was wrong or could not be asked.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from netprobe.analysis.intent.document import load_intent
from netprobe.analysis.intent.incidents import IncidentEvent, IncidentTracker
from netprobe.analysis.intent.sample import Sample, describe_sample
from netprobe.bus.operator import Access, open_asker, tell_watched
from netprobe.cli.commands.verify_visit import (
    VisitOptions,
    visit,
    visit_options,
    visit_with,
)
from netprobe.cli.options.output import report_options
from netprobe.cli.options.source import Source, source_options
from netprobe.cli.options.verify_compat import expect_fitting
from netprobe.errors import NetprobeError, SystemRefusedError
from netprobe.model.intent import CellResult, CellVerdict, Deviation
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.incident import incident_json, incident_text
from netprobe.render.reports.formats.subject import ReportSubject
from netprobe.render.reports.verification import VerificationReport
from netprobe.wire.intent_watch import MAX_HOLDS_NS, IntentReport
from netprobe.workflows.verification import LocateDrops
from netprobe.workflows.verification_request import VerifyRequest

MAX_CELLS = 50_000
"""More are sampled unless ``--exhaustive`` is said."""
_MISSED_LOOKS, _PATIENCE_S = 3, 30.0
"""After so many looks without a telling, and a little more, the collector takes a watcher for gone."""


@dataclass(frozen=True, slots=True)
class IntentVerifier:
    """A collector's agents, asked the same again and again."""

    terms: VerifyRequest
    source: Source

    def look(self) -> tuple[Sample, tuple[CellResult, ...]]:
        """Ask once, now. Raises :class:`InputError` where the intent means nobody here."""
        access, snapshot = self.source.find_access(), self.source.load()
        sample = self.terms.draw(snapshot)
        return sample, asyncio.run(self._ask(access, sample, snapshot))

    async def _ask(self, access: Access, sample: Sample, snapshot: Snapshot) -> tuple[CellResult, ...]:
        async with open_asker(access, asked_by="verify") as agents:
            return await self.terms.judge(agents, sample, snapshot)

    def tell(self, deviations: tuple[Deviation, ...], *, holds_s: float) -> None:
        """Let the collector know what is not as intended. Raises :class:`NetprobeError` where it is away."""
        told = IntentReport(self.terms.key, self.terms.path.name, round(holds_s * 1e9), deviations)
        asyncio.run(tell_watched(self.source.find_access(), told))


@click.command()
@click.option("-f", "--file", "path", type=click.Path(path_type=Path), metavar="FILE", help="The intent.")
@source_options
@visit_options
@report_options
@click.option("--sample", "size", type=click.IntRange(min=1), default=MAX_CELLS, show_default=True,
              metavar="CELLS", help="Ask so many cells, by chance, where there are more.")  # fmt: skip
@click.option("--exhaustive", is_flag=True, help="Ask every cell, however many there are.")
@click.option("--locate", type=click.Choice(tuple(map(str, LocateDrops))), default=str(LocateDrops.DIFFERING),
              show_default=True, help="Which drops are walked to the hop that drops them.")  # fmt: skip
@click.option("--watch", "every_s", type=click.FloatRange(min=1), metavar="SECONDS",
              help="Ask again and again until Ctrl-C; tell what opens and closes.")  # fmt: skip
@click.option("--incidents", type=click.Path(path_type=Path), metavar="FILE",
              help="With --watch: append each incident that opens or closes, as JSON lines.")  # fmt: skip
@click.pass_context
def verify(  # noqa: PLR0913 - one parameter per option
    context: click.Context,
    *,
    path: Path | None,
    source: Source,
    visiting: VisitOptions,
    tell: Callable[[ReportSubject], None],
    size: int,
    exhaustive: bool,
    locate: str,
    every_s: float | None,
    incidents: Path | None,
) -> None:
    """Compare what is reachable now with what the intent FILE says, or visit the clusters of --context.

    A visit needs only kubeconfig: it starts agents in a namespace of their own, lets them ask each other
    within and across the clusters, on both planes, and removes everything again, on Ctrl-C too. With both,
    agents of a visit are asked what the intent needs to know.

    Exit code 0 if nothing is broken and nothing leaks, 1 if something is, 2 if it could not be asked, or if
    nothing at all could be proven.
    """
    expect_fitting(context, has_intent=path is not None, is_visit=visiting.is_asked)
    if path is None:
        context.exit(visit(visiting, tell))
    intent = load_intent(path, today=dt.datetime.now(tz=dt.UTC).date())
    terms = VerifyRequest(
        path, intent, None if exhaustive else size, LocateDrops(locate), secrets.token_hex(8)
    )
    if every_s is not None:
        context.exit(watch(IntentVerifier(terms, source), every_s=every_s, incidents=incidents))
    sample, judged = (
        visit_with(visiting, terms) if visiting.is_asked else IntentVerifier(terms, source).look()
    )
    tell(VerificationReport(judged, {rule.name: rule.where for rule in intent.rules if rule.where}))
    said = describe_sample(sample, judged)
    if said:
        click.echo(said, err=True)
    context.exit(exit_code(judged))


def watch(looking: IntentVerifier, *, every_s: float, incidents: Path | None = None) -> int:
    """Look every *every_s* seconds until Ctrl-C; 1 where an incident is open then, else 0.

    After each look the collector is told what is not as intended, where it becomes findings. A look that
    fails is told and costs only itself: who watches wants to know of the next one.
    """
    drift = IncidentTracker()
    try:
        while True:
            began_s = time.monotonic()
            _look_again(looking, drift, incidents)
            took_s = time.monotonic() - began_s
            _tell_collector(looking, drift, holds_s=_MISSED_LOOKS * max(every_s, took_s) + _PATIENCE_S)
            time.sleep(max(0.0, began_s + every_s - time.monotonic()))
    except KeyboardInterrupt:
        _tell_collector(looking, drift, holds_s=0.0)
        return 0 if drift.is_calm else 1


def _look_again(looking: IntentVerifier, drift: IncidentTracker, incidents: Path | None) -> None:
    try:
        _, judged = looking.look()
    except SystemRefusedError as error:
        click.echo(f"not asked: {error}", err=True)
        return
    for event in drift.see(judged, at_ns=time.time_ns()):
        click.echo(incident_text(event))
        _keep(event, incidents)


def _tell_collector(looking: IntentVerifier, drift: IncidentTracker, *, holds_s: float) -> None:
    """Whatever hinders it costs only this telling."""
    try:
        looking.tell(drift.deviations, holds_s=min(holds_s, MAX_HOLDS_NS / 1e9))
    except NetprobeError as error:
        click.echo(f"the collector was not told: {error}", err=True)


def _keep(event: IncidentEvent, path: Path | None) -> None:
    """Append *event* to the file, one object on a line."""
    if path is None:
        return
    try:
        with path.open("a") as kept:
            kept.write(f"{incident_json(event)}\n")
    except OSError as error:
        click.echo(f"{path}: cannot be written: {error.strerror}", err=True)


def exit_code(judged: tuple[CellResult, ...]) -> int:
    """0, 1, or 2 where nothing at all was proven."""
    seen = {one.verdict for one in judged}
    if seen & {CellVerdict.LEAK, CellVerdict.BROKEN}:
        return 1
    return 2 if seen == {CellVerdict.UNPROVEN} else 0
