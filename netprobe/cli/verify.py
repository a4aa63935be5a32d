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

from netprobe.analysis.intent.drift import Drift, Event
from netprobe.analysis.intent.expand import expand_cells
from netprobe.analysis.intent.read import load_intent
from netprobe.analysis.intent.sample import Sample, describe_sample, draw_sample
from netprobe.analysis.intent.standing import find_absent
from netprobe.bus.ask import Access, open_asker, tell_watched
from netprobe.cli.output import report_options
from netprobe.cli.source import Source, source_options
from netprobe.cli.verifying import Locate, verify_cells
from netprobe.cli.visit import Visiting, visit, visit_options
from netprobe.errors import InputError, NetprobeError, SurroundingsError
from netprobe.model.intent import Cell, CellVerdict, Deviation, Intent, Judged
from netprobe.model.names import AgentId, Plane
from netprobe.model.reach import SshAccess
from netprobe.model.snapshot import Snapshot
from netprobe.render.drift import event_json, event_line
from netprobe.render.forms.subject import Subject
from netprobe.render.verify import Verification
from netprobe.wire.watching import MAX_HOLDS_NS, Watched

MAX_CELLS = 50_000
"""More are sampled unless ``--exhaustive`` is said."""
_MISSED_LOOKS, _PATIENCE_S = 3, 30.0
"""After so many looks without a telling, and a little more, the collector takes a watcher for gone."""


@dataclass(frozen=True, slots=True)
class Looking:
    """How it is asked."""

    path: Path
    intent: Intent
    source: Source
    size: int | None
    """Cells of a sample; None for all."""
    locate: Locate
    key: str

    def look(self) -> tuple[Sample, tuple[Judged, ...]]:
        """Ask once, now. Raises :class:`InputError` where the intent means nobody here."""
        access, snapshot = self.source.find_access(), self.source.load()
        cells = expand_cells(self.intent, snapshot.inventory)
        if not cells:
            raise InputError(
                "means nobody in this fleet: no group holds an endpoint that can ask", where=str(self.path)
            )
        sample = draw_sample(cells, size=len(cells) if self.size is None else self.size, key=self.key)
        return sample, asyncio.run(_verify(access, sample.cells, self.intent, snapshot, self.locate))

    def tell(self, deviations: tuple[Deviation, ...], *, holds_s: float) -> None:
        """Let the collector know what is not as intended. Raises :class:`NetprobeError` where it is away."""
        told = Watched(self.key, self.path.name, round(holds_s * 1e9), deviations)
        asyncio.run(tell_watched(self.source.find_access(), told))


@click.command()
@click.option("-f", "--file", "path", type=click.Path(path_type=Path), metavar="FILE", help="The intent.")
@source_options
@visit_options
@report_options
@click.option("--sample", "size", type=click.IntRange(min=1), default=MAX_CELLS, show_default=True,
              metavar="CELLS", help="Ask so many cells, by chance, where there are more.")  # fmt: skip
@click.option("--exhaustive", is_flag=True, help="Ask every cell, however many there are.")
@click.option("--locate", type=click.Choice(tuple(map(str, Locate))), default=str(Locate.DIFFERING),
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
    visiting: Visiting,
    tell: Callable[[Subject], None],
    size: int,
    exhaustive: bool,
    locate: str,
    every_s: float | None,
    incidents: Path | None,
) -> None:
    """Compare what is reachable now with what the intent FILE says, or visit the clusters of --context.

    A visit needs only kubeconfig: it starts agents in a namespace of their own, lets them ask each other
    within and across the clusters, on both planes, and removes everything again, on Ctrl-C too.

    Exit code 0 if nothing is broken and nothing leaks, 1 if something is, 2 if it could not be asked, or if
    nothing at all could be proven.
    """
    if visiting.is_asked == (path is not None):
        raise InputError("give either an intent (-f FILE) or clusters to visit (--context, --all-contexts)")
    if path is None:
        context.exit(visit(visiting, tell))
    intent = load_intent(path, today=dt.datetime.now(tz=dt.UTC).date())
    looking = Looking(
        path, intent, source, None if exhaustive else size, Locate(locate), secrets.token_hex(8)
    )
    if every_s is not None:
        context.exit(watch(looking, every_s=every_s, incidents=incidents))
    sample, judged = looking.look()
    tell(Verification(judged, {rule.name: rule.where for rule in intent.rules if rule.where}))
    said = describe_sample(sample, judged)
    if said:
        click.echo(said, err=True)
    context.exit(exit_code(judged))


async def _verify(
    access: Access, cells: tuple[Cell, ...], intent: Intent, snapshot: Snapshot, locate: Locate
) -> tuple[Judged, ...]:
    ways = _find_silent_hosts(snapshot, cells)
    async with open_asker(access, asked_by="verify") as agents:
        if not ways:
            return await verify_cells(agents, cells, intent=intent, snapshot=snapshot, locate=locate)
        from netprobe.cli.gateways import show_progress  # noqa: PLC0415 - only those who ask pay for SSH
        from netprobe.cli.hosttools import HostsAsker, mark_coarser  # noqa: PLC0415

        asker = HostsAsker(ways, agents, show_progress(len(ways)))
        judged = await verify_cells(asker, cells, intent=intent, snapshot=snapshot, locate=locate)
        return mark_coarser(judged, ways)


def _find_silent_hosts(snapshot: Snapshot, cells: tuple[Cell, ...]) -> dict[AgentId, SshAccess]:
    """Hosts that are to ask, have no agent that speaks, and are reached over SSH."""
    absent = find_absent(snapshot)
    ways = {}
    for source in {cell.source for cell in cells}:
        node = snapshot.inventory.find_node(source.node_id)
        if str(source) in absent and source.plane is Plane.HOST and node is not None and node.ssh is not None:
            ways[source] = node.ssh
    return ways


def watch(looking: Looking, *, every_s: float, incidents: Path | None = None) -> int:
    """Look every *every_s* seconds until Ctrl-C; 1 where an incident is open then, else 0.

    After each look the collector is told what is not as intended, where it becomes findings. A look that
    fails is told and costs only itself: who watches wants to know of the next one.
    """
    drift = Drift()
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


def _look_again(looking: Looking, drift: Drift, incidents: Path | None) -> None:
    try:
        _, judged = looking.look()
    except SurroundingsError as error:
        click.echo(f"not asked: {error}", err=True)
        return
    for event in drift.see(judged, at_ns=time.time_ns()):
        click.echo(event_line(event))
        _keep(event, incidents)


def _tell_collector(looking: Looking, drift: Drift, *, holds_s: float) -> None:
    """Whatever hinders it costs only this telling."""
    try:
        looking.tell(drift.deviations, holds_s=min(holds_s, MAX_HOLDS_NS / 1e9))
    except NetprobeError as error:
        click.echo(f"the collector was not told: {error}", err=True)


def _keep(event: Event, path: Path | None) -> None:
    """Append *event* to the file, one object on a line."""
    if path is None:
        return
    try:
        with path.open("a") as kept:
            kept.write(f"{event_json(event)}\n")
    except OSError as error:
        click.echo(f"{path}: cannot be written: {error.strerror}", err=True)


def exit_code(judged: tuple[Judged, ...]) -> int:
    """0, 1, or 2 where nothing at all was proven."""
    seen = {one.verdict for one in judged}
    if seen & {CellVerdict.LEAK, CellVerdict.BROKEN}:
        return 1
    return 2 if seen == {CellVerdict.UNPROVEN} else 0
