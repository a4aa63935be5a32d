"""``netprobe verify``: checks an intent once, or repeatedly with incidents and reports to the collector."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netprobe.analysis.intent.document import load_intent
from netprobe.analysis.intent.incidents import IncidentEvent, IncidentTracker
from netprobe.analysis.intent.sample import Sample, describe_sample
from netprobe.bus.operator import Access, open_asker, report_watched_intent
from netprobe.cli.actions.output import deliver_report
from netprobe.cli.actions.verify_visit import visit_with
from netprobe.cli.options.output import ReportOutput
from netprobe.cli.options.source import Source
from netprobe.cli.options.visit import VisitOptions
from netprobe.echo import echo
from netprobe.errors import InputError, NetprobeError, SystemRefusedError
from netprobe.model.intent import CellResult, CellVerdict, Deviation, LocateDrops
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.incident import incident_json, incident_text
from netprobe.render.reports.verification import VerificationReport
from netprobe.wire.intent_watch import MAX_HOLDS_NS, IntentReport
from netprobe.workflows.recordings import PacketBook
from netprobe.workflows.verification_request import VerifyRequest

_MISSED_ROUNDS, _PATIENCE_S = 3, 30.0
"""After this many rounds without a report, and a little more, the collector considers a watcher gone."""


class IntentVerifier(Protocol):
    """Checks one intent again and again, and reports to a collector."""

    def verify(self) -> tuple[Sample, tuple[CellResult, ...]]:
        """Check once, now. Raises :class:`InputError` where the intent matches nothing in this fleet."""

    def report(self, deviations: tuple[Deviation, ...], *, holds_s: float) -> None:
        """Tell the collector what is not as intended. Raises :class:`NetprobeError` where it is away."""


@dataclass(frozen=True, slots=True)
class FleetVerifier:
    """An :class:`IntentVerifier` that asks the agents of a collector."""

    request: VerifyRequest
    source: Source

    def verify(self) -> tuple[Sample, tuple[CellResult, ...]]:
        """Check once, now."""
        access, snapshot = self.source.find_access(), self.source.load()
        sample = self.request.draw(snapshot)
        return sample, asyncio.run(self._ask(access, sample, snapshot))

    async def _ask(self, access: Access, sample: Sample, snapshot: Snapshot) -> tuple[CellResult, ...]:
        async with open_asker(access, asked_by="verify", record=self.request.record) as agents:
            return await self.request.judge(agents, sample, snapshot)

    def report(self, deviations: tuple[Deviation, ...], *, holds_s: float) -> None:
        """Tell the collector what is not as intended."""
        report = IntentReport(self.request.key, self.request.path.name, round(holds_s * 1e9), deviations)
        asyncio.run(report_watched_intent(self.source.find_access(), report))


def read_request(path: Path, *, size: int | None, locate: str, pcap: Path | None = None) -> VerifyRequest:
    """The intent file *path* and how much of it to check."""
    intent = load_intent(path, today=dt.datetime.now(tz=dt.UTC).date())
    book = PacketBook(pcap) if pcap is not None else None
    return VerifyRequest(path, intent, size, LocateDrops(locate), secrets.token_hex(8), book)


def run_verify(source: Source, visiting: VisitOptions, request: VerifyRequest, output: ReportOutput) -> int:
    """Check once and report; the exit code of the command."""
    sample, judged = (
        visit_with(visiting, request) if visiting.is_asked else FleetVerifier(request, source).verify()
    )
    if request.book is not None:
        request.book.write()
    rules = request.intent.rules
    deliver_report(
        VerificationReport(judged, {rule.name: rule.where for rule in rules if rule.where}), output
    )
    if about := describe_sample(sample, judged):
        echo(about, err=True)
    return exit_code(judged)


def run_watch(source: Source, request: VerifyRequest, *, every_s: float, incidents: Path | None) -> int:
    """Check until Ctrl-C; the exit code of the command."""
    if request.book is not None:
        raise InputError("is for one verification, not for --watch", where="--pcap")
    return watch(FleetVerifier(request, source), every_s=every_s, incidents=incidents)


def watch(verifier: IntentVerifier, *, every_s: float, incidents: Path | None = None) -> int:
    """Verify every *every_s* seconds until Ctrl-C; 1 if an incident is open then, else 0.

    After each round the collector learns what is not as intended, where it becomes findings. A round that
    fails is reported on stderr, and the next one follows.
    """
    tracker = IncidentTracker()
    try:
        while True:
            began_s = time.monotonic()
            _verify_again(verifier, tracker, incidents)
            took_s = time.monotonic() - began_s
            _report(verifier, tracker, holds_s=_MISSED_ROUNDS * max(every_s, took_s) + _PATIENCE_S)
            time.sleep(max(0.0, began_s + every_s - time.monotonic()))
    except KeyboardInterrupt:
        _report(verifier, tracker, holds_s=0.0)
        return 0 if tracker.is_calm else 1


def _verify_again(verifier: IntentVerifier, tracker: IncidentTracker, incidents: Path | None) -> None:
    try:
        _, judged = verifier.verify()
    except SystemRefusedError as error:
        echo(f"not verified: {error}", err=True)
        return
    for event in tracker.see(judged, at_ns=time.time_ns()):
        echo(incident_text(event))
        _keep(event, incidents)


def _report(verifier: IntentVerifier, tracker: IncidentTracker, *, holds_s: float) -> None:
    """A report that fails is said on stderr; the next round sends another."""
    try:
        verifier.report(tracker.deviations, holds_s=min(holds_s, MAX_HOLDS_NS / 1e9))
    except NetprobeError as error:
        echo(f"the collector did not get the report: {error}", err=True)


def _keep(event: IncidentEvent, path: Path | None) -> None:
    """Append *event* to the file, one object on a line."""
    if path is None:
        return
    try:
        with path.open("a") as kept:
            kept.write(f"{incident_json(event)}\n")
    except OSError as error:
        echo(f"{path}: cannot be written: {error.strerror}", err=True)


def exit_code(judged: tuple[CellResult, ...]) -> int:
    """0, 1, or 2 where nothing at all was proven."""
    seen = {one.verdict for one in judged}
    if seen & {CellVerdict.LEAK, CellVerdict.BROKEN}:
        return 1
    return 2 if seen == {CellVerdict.UNPROVEN} else 0
