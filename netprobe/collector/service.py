"""The collector's process: the server, plans out, reports in, a snapshot for whoever asks.

Rules: a report is acknowledged after it is stored and before it is analysed, so that a crash loses no window
and counts none twice. What an agent sends can be counted and dropped, but never ends the service. The service
ends when it is told to, or when its server or its store does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import compress
from pathlib import Path

from netprobe import __version__
from netprobe.bus.callout import Caller, issuer_key
from netprobe.bus.collector import CollectorBus, open_collector_bus
from netprobe.bus.keys import public_key
from netprobe.bus.keys_file import Keys, read_keys
from netprobe.bus.login import SeedLogin
from netprobe.bus.operator import Access, ask_check
from netprobe.bus.permissions import users
from netprobe.bus.server import Callout, Server, run_server
from netprobe.bus.tokens import Bearer, Refusal
from netprobe.collector.adaptive_checks import is_ambiguous, narrow_down
from netprobe.collector.admission import Admission
from netprobe.collector.bus_auth import BusAuth, follow_certificate, own_trust
from netprobe.collector.cluster_watchers import ClusterWatchers, FleetView
from netprobe.collector.intent_watches import IntentWatches
from netprobe.collector.inventory_warnings import note_oddities
from netprobe.collector.keys_watch import follow_keys
from netprobe.collector.monitor import MonitorSources, open_monitor
from netprobe.collector.persisted_state import (
    hold,
    load_issuer_seed,
    load_own_seed,
)
from netprobe.collector.plan_rotation import PlanRotation
from netprobe.collector.ports import AnalysisPorts, ConclusionPort
from netprobe.collector.registry import ClusterRegistry
from netprobe.collector.replay import Replay
from netprobe.collector.report_validation import ReportValidator
from netprobe.collector.settings import Settings
from netprobe.collector.tasks import run_until_first
from netprobe.errors import BusAwayError, NetprobeError, SystemRefusedError
from netprobe.model.check import Check
from netprobe.model.collector_health import CollectorHealth
from netprobe.model.finding import Finding
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.status import AgentState
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.store.history import History
from netprobe.store.private_file import replace_file
from netprobe.wire.intent_watch import decode_watched
from netprobe.wire.messages import CheckAnswer, decode_moment, encode_snapshot
from netprobe.wire.reports import report_of

_PRUNE_EVERY_S = 600.0
_CONCLUSIONS_PER_INTERVAL = 5
"""How often the analysis looks whether an interval is complete; a late look delays every finding."""
_REOPEN_PAUSE_S = 0.5
_MOST_PAST_FINDINGS = 1_000
_ASK_TIMEOUT_S = 8.0
_ROUNDS = 3
"""Adaptive rounds per finding in which nobody could be asked."""
_SECOND = 1_000_000_000

logger = logging.getLogger(__name__)


async def run_collector(settings: Settings, brains: AnalysisPorts, *, stop: asyncio.Event) -> None:
    """Serve until *stop* is set. Raises :class:`NetprobeError` where it cannot start or go on."""
    keys = read_keys(settings.keys)
    with hold(settings.data):
        settings.ready_file.unlink(missing_ok=True)
        admission = Admission()
        gathering = (
            ClusterWatchers(ClusterRegistry(settings.clusters), admission) if settings.clusters else None
        )
        survey = FleetView(gathering, flat=settings.flat)
        course = PlanRotation(settings, brains.plan, survey)
        note_oddities(course.inventory, keys, by_token={found.name for found in survey.known})
        url = settings.history_url or f"sqlite:///{settings.data / 'history.db'}"
        with closing(History(url)) as history:
            collector = _Collector(settings, course, brains, history, BusAuth(admission, gathering, survey))
            await collector.run(keys, stop=stop)


class _Collector:
    """One run of the service."""

    def __init__(
        self, settings: Settings, course: PlanRotation, brains: AnalysisPorts, history: History, door: BusAuth
    ) -> None:
        self._settings = settings
        self._course = course
        self._hire = brains.analyst
        self._inventory = course.inventory
        self._fleet = course.fleet
        self._analyst = self._hire(course.inventory, course.fleet)
        self._past = Replay(history, brains, course.cookie_key)
        self._recalling = asyncio.Lock()
        self._watches = IntentWatches()
        self._history = history
        self._door = door
        self._intake = ReportValidator(course.fleet)
        self._turned_away: Counter[str] = Counter()
        """At the doors of earlier plans."""
        self._started_ns = time.time_ns()
        self._last_report_ns: int | None = None
        self._analysis_errors = 0
        self._conclusion: ConclusionPort | None = None
        self._concluded_ns = 0
        self._encoded: bytes | None = None
        self._remembered = self._history.incidents_since(0)[-_MOST_PAST_FINDINGS:]
        self._kept: set[tuple[str, int]] = set()
        self._serves = False
        """Whether the bus is served."""

    async def run(self, keys: Keys, *, stop: asyncio.Event) -> None:
        seed = load_own_seed(self._settings.data)
        entries = users(keys.agents, keys.operators, public_key(seed))
        directory, tls = self._settings.data / "nats", self._settings.tls
        issuer_seed = load_issuer_seed(self._settings.data) if self._door.gathering else ""
        callout = Callout(issuer_key(issuer_seed)) if issuer_seed else None
        await asyncio.to_thread(self._keep_epoch)
        running = run_server(
            self._settings.listen, directory=directory, users=entries, callout=callout, tls=tls
        )
        told = MonitorSources(self._tell_metrics, lambda: "" if self._serves else "the bus is not served yet")
        async with open_monitor(self._settings.http, told) as monitor, running as server:
            jobs = [stop.wait(), self._watch(server), self._prune()]
            jobs += [self._serve(server, seed, issuer_seed, monitor)]
            jobs += [self._door.gathering.run()] if self._door.gathering else []
            jobs += [follow_certificate(tls, server.reload)] if tls else []
            jobs += [self._follow_keys(self._settings.keys, server, seed)] if self._settings.keys else []
            try:
                await run_until_first(*jobs)
            finally:
                self._settings.ready_file.unlink(missing_ok=True)

    async def _follow_keys(self, path: Path, server: Server, seed: str) -> None:
        """Whoever is added to the keys file may speak from then on, whoever is gone may not."""
        async for keys in follow_keys(path, every_s=self._settings.interval_ns / _SECOND):
            server.admit(users(keys.agents, keys.operators, public_key(seed)))
            logger.info("%d agents and %d operators may speak", len(keys.agents), len(keys.operators))

    async def _watch(self, server: Server) -> None:
        raise await server.wait_ended()

    async def _serve(self, server: Server, seed: str, issuer_seed: str, monitor: str) -> None:
        """Work on one connection after the other; our own server is near, but it may drop a slow reader."""
        ttl_s = self._settings.presence_ttl_ns / _SECOND
        while True:
            try:
                opening = open_collector_bus(
                    server.url,
                    login=SeedLogin(seed),
                    presence_ttl_s=ttl_s,
                    trust=own_trust(self._settings.tls),
                )
                async with opening as bus:
                    if issuer_seed:
                        await bus.answer_callouts(issuer_seed=issuer_seed, judge=self._judge)
                    await self._hand_out(bus)
                    await bus.serve("snapshot", self._answer_snapshot)
                    await bus.serve("moment", self._answer_moment)
                    await bus.serve("watched", self._take_watched)
                    await bus.serve("health", self._answer_health)
                    self._say_ready(server, monitor)
                    await run_until_first(
                        bus.wait_ended(), self._ingest(bus), self._conclude(), self._advance(bus),
                        self._examine(Access(server.url, seed, own_trust(self._settings.tls))),
                    )  # fmt: skip
                    logger.warning("the bus dropped us; connecting again")
            except BusAwayError as error:
                logger.warning("%s; connecting again", error)
            finally:
                self._serves = False
            await asyncio.sleep(_REOPEN_PAUSE_S)

    def _judge(self, caller: Caller) -> Bearer | Refusal:
        return self._door.admission.judge(caller, now_ns=time.time_ns())

    async def _ingest(self, bus: CollectorBus) -> None:
        while True:
            deliveries = await bus.take()
            if not deliveries:
                continue
            now_ns = time.time_ns()
            admitted = self._intake.admit(deliveries, now_ns=now_ns)
            for complaint in admitted.complaints:
                logger.warning("a message was dropped: %s", complaint)
            ingested = await asyncio.to_thread(
                self._history.ingest_columns,
                admitted.reports, rejected=admitted.rejected, malformed=len(admitted.complaints),
            )  # fmt: skip
            await bus.acknowledge(deliveries)
            for columns in compress(admitted.reports, ingested.fresh):
                with self._surviving("observing a report"):
                    self._analyst.observe(report_of(columns), now_ns=now_ns)
                self._last_report_ns = now_ns
            await asyncio.sleep(0)  # a long queue must not keep askers waiting

    async def _advance(self, bus: CollectorBus) -> None:
        """Hand out other plans when the epoch ends or the inventory changes."""
        while True:
            await asyncio.sleep(self._settings.interval_ns / _SECOND)
            await self._door.survey.refresh(bus.find_present)
            awaited, now_ns = self._analyst.awaited, time.time_ns()
            self._analyst.expect(await self._door.muster(awaited, bus.find_present, now_ns=now_ns))
            if await asyncio.to_thread(self._course.tick):
                self._adopt()
                await asyncio.to_thread(self._keep_epoch)
                await self._hand_out(bus)

    async def _hand_out(self, bus: CollectorBus) -> None:
        plans = (*self._fleet.plans, *self._course.withdrawn)
        await bus.put_plans(self._door.show(plans, self._settings.bus))

    def _keep_epoch(self) -> None:
        """Remember which plans are asked from now on."""
        self._history.keep_epoch(self._course.describe_epoch(since_ns=time.time_ns()))

    def _adopt(self) -> None:
        """Go on with the plans of the course; what is shown changes with them."""
        now_ns = time.time_ns()
        self._inventory, self._fleet = self._course.inventory, self._course.fleet
        self._turned_away += self._intake.rejected
        self._intake = ReportValidator(self._fleet)
        try:
            self._analyst.replan(self._inventory, self._fleet, now_ns=now_ns)
        except Exception:
            self._analysis_errors += 1
            logger.exception("the analysis could not go on with other plans and begins anew")
            self._analyst = self._hire(self._inventory, self._fleet)
        self._conclusion = None  # it spoke of the checks of the plans before
        self._look(now_ns)

    async def _take_watched(self, told: bytes) -> bytes:
        self._watches.hear(decode_watched(told), now_ns=time.time_ns())
        self._encoded = None
        await self._keep_ended(self._watches.ended)
        return b""

    def _look(self, now_ns: int) -> None:
        self._watches.expire(now_ns=now_ns)
        with self._surviving("concluding"):
            self._conclusion = self._analyst.conclude(now_ns=now_ns)
            self._concluded_ns = now_ns
            self._encoded = None

    async def _conclude(self) -> None:
        while True:
            self._look(time.time_ns())
            if self._conclusion is not None:
                await self._keep_ended((*self._conclusion.past_findings, *self._watches.ended))
            await asyncio.sleep(self._settings.interval_ns / _SECOND / _CONCLUSIONS_PER_INTERVAL)

    async def _examine(self, access: Access) -> None:
        """An adaptive round for every finding that could not tell some parts apart, until one has told."""
        rounds: Counter[tuple[str, int]] = Counter()
        while True:
            findings = self._conclusion.findings if self._conclusion is not None else ()
            for finding in findings:
                name = (finding.id, finding.first_seen_ns)
                if rounds[name] >= _ROUNDS or not is_ambiguous(finding):
                    continue
                narrowed = await narrow_down(
                    finding, ClusterGraph(self._inventory), able=self._well, ask=partial(_ask_now, access)
                )
                rounds[name] = _ROUNDS if narrowed.told else rounds[name] + 1
                with self._surviving("narrowing a finding down"):
                    self._analyst.narrow(finding.id, narrowed.left, narrowed.told)
            await asyncio.sleep(self._settings.interval_ns / _SECOND / _CONCLUSIONS_PER_INTERVAL)

    @property
    def _well(self) -> frozenset[AgentId]:
        """Agents that can be asked something now."""
        agents = self._conclusion.agents if self._conclusion is not None else ()
        return frozenset(AgentId.parse(one.agent) for one in agents if one.state is AgentState.ALIVE)

    @contextmanager
    def _surviving(self, what: str) -> Iterator[None]:
        """Log and count an error of the analysis: windows must be stored even where it cannot follow."""
        try:
            yield
        except Exception:
            self._analysis_errors += 1
            logger.exception("the analysis failed while %s", what)

    async def _keep_ended(self, past: Iterable[Finding]) -> None:
        new = [finding for finding in past if (finding.id, finding.first_seen_ns) not in self._kept]
        if new:
            await asyncio.to_thread(self._history.keep_incidents, new)
            self._kept |= {(finding.id, finding.first_seen_ns) for finding in new}

    async def _prune(self) -> None:
        while True:
            before_ns = time.time_ns() - self._settings.keep_ns
            gone = await asyncio.to_thread(self._history.prune, before_ns=before_ns)
            if gone:
                logger.info("%d old reports forgotten", gone)
            await asyncio.sleep(_PRUNE_EVERY_S)

    async def _answer_snapshot(self, _: bytes) -> bytes:
        if self._conclusion is None:
            raise SystemRefusedError("nothing is concluded yet; ask again in a moment")
        if self._encoded is None:
            counters = await asyncio.to_thread(self._history.counters)
            self._encoded = encode_snapshot(self._snapshot_of(self._conclusion, counters))
        return self._encoded

    async def _answer_moment(self, asked: bytes) -> bytes:
        at_ns = decode_moment(asked)
        conclusion = self._conclusion
        known = (*self._find_ended(conclusion), *self._find_open(conclusion)) if conclusion else ()
        async with self._recalling:  # one at a time: each fills the memory with reports
            snapshot = await asyncio.to_thread(
                self._past.snapshot_at, at_ns, now_ns=time.time_ns(), known=known
            )
            return await asyncio.to_thread(encode_snapshot, snapshot)

    def _find_ended(self, conclusion: ConclusionPort) -> tuple[Finding, ...]:
        """Everything that has ended, as far as it is remembered."""
        ours = {(finding.id, finding.first_seen_ns) for finding in conclusion.past_findings}
        earlier = (one for one in self._remembered if (one.id, one.first_seen_ns) not in ours)
        return (*earlier, *conclusion.past_findings, *self._watches.ended)

    def _find_open(self, conclusion: ConclusionPort) -> tuple[Finding, ...]:
        return (*conclusion.findings, *self._watches.findings)

    def _snapshot_of(self, conclusion: ConclusionPort, counters: Counters) -> Snapshot:
        return Snapshot(
            taken_ns=self._concluded_ns,
            interval_ns=self._fleet.interval_ns,
            inventory=self._inventory,
            checks=self._fleet.checks,
            legs=self._fleet.legs,
            coverage=self._fleet.coverage,
            paths=conclusion.paths,
            agents=conclusion.agents,
            findings=self._find_open(conclusion),
            past_findings=self._find_ended(conclusion),
            counters=counters,
            rejected=tuple(sorted(self._rejected.items())),
        )

    @property
    def _rejected(self) -> Counter[str]:
        """What the door and the analysis did not use, by reason."""
        return self._turned_away + self._intake.rejected + Counter(self._analyst.rejected)

    async def _answer_health(self, _: bytes) -> bytes:
        return json.dumps((await self._vitals()).flat()).encode()

    async def _vitals(self) -> CollectorHealth:
        return CollectorHealth(
            version=__version__,
            pid=os.getpid(),
            started_ns=self._started_ns,
            epoch=self._fleet.epoch,
            interval_ns=self._fleet.interval_ns,
            agents_planned=len(self._fleet.plans),
            last_report_ns=self._last_report_ns,
            analysis_errors=self._analysis_errors,
            inventories_refused=self._course.refused,
            windows_rejected_by_reason=dict(sorted(self._rejected.items())),
            counters=await asyncio.to_thread(self._history.counters),
            entrance=self._door.entrance(),
        )

    async def _tell_metrics(self, accept: str) -> tuple[bytes, str]:
        from netprobe.render.documents.prometheus import encode_metrics  # noqa: PLC0415 - only where somebody asks

        vitals, conclusion = await self._vitals(), self._conclusion
        snapshot = None if conclusion is None else self._snapshot_of(conclusion, vitals.counters)
        return await asyncio.to_thread(encode_metrics, snapshot, vitals, accept=accept)

    def _say_ready(self, server: Server, monitor: str) -> None:
        self._serves = True
        told = {"url": server.url, "pid": os.getpid()} | ({"http": monitor} if monitor else {})
        replace_file(self._settings.ready_file, json.dumps(told))
        logger.info("serving on %s", server.url)


async def _ask_now(access: Access, check: Check) -> bool | None:
    """Whether an agent is answered now; None where it declines, cannot measure or is away."""
    try:
        reply = await ask_check(access, check, asked_by="collector", timeout_s=_ASK_TIMEOUT_S)
    except NetprobeError as error:
        logger.info("%s could not be asked: %s", check.source, error)
        return None
    kinds = {outcome.kind for outcome in reply.outcomes} if isinstance(reply, CheckAnswer) else set()
    if OutcomeKind.REACHED in kinds:
        return True
    return False if kinds and OutcomeKind.NOT_MEASURED not in kinds else None
