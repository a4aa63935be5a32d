"""Wires the collector's parts and runs them until it is stopped.

Rules: what an agent sends can be counted and dropped, but never ends the service. The service ends when it is
stopped, or when its bus server ends; a bus or a history that refuses makes it not ready, and it goes on.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

from netprobe.bus.accounts import Accounts, accounts
from netprobe.bus.callout import issuer_key
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.keys import public_key
from netprobe.bus.keys_file import Keys, read_keys
from netprobe.bus.login import SeedLogin
from netprobe.bus.operator import Access
from netprobe.bus.server import Callout, Server, run_server
from netprobe.collector.admission import Admission
from netprobe.collector.analysis_loop import AnalysisLoop
from netprobe.collector.bus_auth import BusAuth
from netprobe.collector.bus_watch import BusWatch
from netprobe.collector.cluster_watchers import ClusterWatchers, FleetView
from netprobe.collector.health_reporter import HealthReporter
from netprobe.collector.history_retention import prune_history
from netprobe.collector.incident_archive import IncidentArchive
from netprobe.collector.intent_watches import IntentWatches
from netprobe.collector.inventory_warnings import warn_about_inventory
from netprobe.collector.keys_watch import admit_new_keys
from netprobe.collector.monitor import MonitorSources, open_monitor
from netprobe.collector.narrowing_loop import NarrowingLoop, ask_once
from netprobe.collector.persisted_state import load_issuer_seed, load_own_seed, lock_directory
from netprobe.collector.plan_publication import PlanPublication
from netprobe.collector.plan_rotation import PlanRotation
from netprobe.collector.ports import AnalysisPorts
from netprobe.collector.query_service import QueryService
from netprobe.collector.readiness import Readiness
from netprobe.collector.registry import ClusterRegistry
from netprobe.collector.replay import Replay
from netprobe.collector.report_ingest import ReportIngest
from netprobe.collector.round_trip import RoundTrip
from netprobe.collector.server_care import ServerCare
from netprobe.collector.settings import Settings
from netprobe.collector.snapshot_builder import SnapshotBuilder
from netprobe.collector.tls_reload import reload_when_renewed, trust_own_server
from netprobe.errors import InputError, SystemRefusedError
from netprobe.store.history import History
from netprobe.tasks import run_until_first

_REOPEN_PAUSE_S = 0.5
_CARE_S = 0.5
"""Between two looks at the bus server."""
_CONCLUSIONS_PER_INTERVAL = 5
"""How often the analysis checks whether an interval is complete; checking late delays every finding."""

logger = logging.getLogger(__name__)


async def run_collector(settings: Settings, ports: AnalysisPorts, *, stop: asyncio.Event) -> None:
    """Serve until *stop* is set. Raises :class:`NetprobeError` if it cannot start or continue."""
    keys = read_keys(settings.keys)
    with lock_directory(settings.data):
        settings.ready_file.unlink(missing_ok=True)
        admission = Admission()
        watchers = (
            ClusterWatchers(ClusterRegistry(settings.clusters), admission) if settings.clusters else None
        )
        view = FleetView(watchers, flat=settings.flat)
        rotation = PlanRotation(settings, ports.plan, view)
        warn_about_inventory(rotation.inventory, keys, by_token={found.name for found in view.known})
        with closing(History(settings.history_database, replace_damaged=True)) as history:
            service = wire(settings, ports, history, rotation, view, BusAuth(admission, watchers))
            await service.run(keys, stop=stop)


def wire(
    settings: Settings, ports: AnalysisPorts, history: History, rotation: PlanRotation, view: FleetView,
    auth: BusAuth,
) -> CollectorService:  # fmt: skip
    """Make every part and connect it to the parts that it uses."""
    watches, incidents, round_trip = IntentWatches(), IncidentArchive(history), RoundTrip()
    analysis = AnalysisLoop(
        ports.new_analyst, rotation.inventory, rotation.fleet, watches=watches, incidents=incidents,
        concluded=round_trip.note_concluded,
    )  # fmt: skip
    ingest = ReportIngest(rotation.fleet, history, analysis, round_trip)
    care = ServerCare(round_trip, settings.data, interval_s=settings.interval_s)
    snapshots = SnapshotBuilder(analysis, ingest, watches, incidents)
    health = HealthReporter(
        rotation, auth, history, analysis=analysis, ingest=ingest, snapshots=snapshots,
        round_trip=round_trip, care=care,
    )  # fmt: skip
    replay = Replay(history, ports, rotation.cookie_key)
    return CollectorService(
        settings=settings,
        history=history,
        auth=auth,
        readiness=Readiness(settings.ready_file),
        analysis=analysis,
        ingest=ingest,
        narrowing=NarrowingLoop(analysis),
        publication=PlanPublication(
            rotation, view, auth,
            analysis=analysis, ingest=ingest, history=history, bus_addresses=settings.bus,
        ),
        queries=QueryService(
            snapshots, health, replay, history, analysis=analysis, watches=watches, incidents=incidents
        ),
        health=health,
        round_trip=round_trip,
        care=care,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorService:
    """The parts of one run, and which of them run together."""

    settings: Settings
    history: History
    auth: BusAuth
    readiness: Readiness
    analysis: AnalysisLoop
    ingest: ReportIngest
    narrowing: NarrowingLoop
    publication: PlanPublication
    queries: QueryService
    health: HealthReporter
    round_trip: RoundTrip
    care: ServerCare

    async def run(self, keys: Keys, *, stop: asyncio.Event) -> None:
        """Run the bus server and everything beside it until *stop* is set or one of them ends."""
        settings, tls, watchers = self.settings, self.settings.tls, self.auth.watchers
        seed = load_own_seed(settings.data)
        issuer_seed = load_issuer_seed(settings.data) if watchers else ""
        await self.publication.record_epoch()
        opening = run_server(
            settings.listen,
            directory=settings.data / "nats",
            accounts=self._accounts(keys, seed),
            callout=Callout(issuer_key(issuer_seed)) if issuer_seed else None,
            tls=tls,
        )
        sources = MonitorSources(self.health.encode_metrics, self._why_not_ready)
        monitor = open_monitor(settings.http, sources, token=settings.metrics_token)
        async with monitor as monitor_url, opening as server:
            self.care.note_start(server)
            jobs = [stop.wait(), _fail_with(server), prune_history(self.history, keep_ns=settings.keep_ns)]
            jobs += [self._serve(server, seed, issuer_seed, monitor_url)]
            jobs += [watchers.run()] if watchers else []
            jobs += [reload_when_renewed(tls, server.reload)] if tls else []
            if settings.keys:
                jobs += [admit_new_keys(settings.keys, server, seed, every_s=settings.interval_s)]
            jobs += [self.care.run(server, partial(self._accounts, keys, seed), every_s=_CARE_S)]
            try:
                await run_until_first(*jobs)
            finally:
                self.readiness.withdraw()

    def _why_not_ready(self) -> str:
        told = self.readiness.why_not() or self.ingest.fault or self.round_trip.fault
        return "; ".join(filter(None, (told, self.care.shortage)))

    def _accounts(self, keys: Keys, seed: str) -> Accounts:
        """Of the keys that are valid now; those of the start where the file cannot be read."""
        with suppress(InputError):
            keys = read_keys(self.settings.keys)
        return accounts(keys.agents, keys.operators, public_key(seed))

    async def _serve(self, server: Server, seed: str, issuer_seed: str, monitor_url: str) -> None:
        """Serve one bus connection after the other: even our own server drops a slow reader."""
        settings, trust = self.settings, trust_own_server(self.settings.tls)
        watch, said = BusWatch(self.readiness), ""
        ask = partial(ask_once, Access(server.url, seed, trust))
        conclude_every_s = settings.interval_s / _CONCLUSIONS_PER_INTERVAL
        while True:
            try:
                opening = open_collector_bus(
                    server.url, login=SeedLogin(seed), presence_ttl_s=settings.presence_ttl_s, trust=trust
                )
                async with opening as bus:
                    await bus.limit_connections()
                    if issuer_seed:
                        await bus.answer_callouts(
                            issuer_seed=issuer_seed, judge=self.auth.judge, overload=self.auth.note_overload
                        )
                    await self.publication.publish(bus)
                    await self.queries.register(bus)
                    self.readiness.announce(server.url, monitor_url)
                    said = ""
                    await run_until_first(
                        bus.wait_ended(),
                        self.ingest.run(bus),
                        self.analysis.run(every_s=conclude_every_s),
                        self.publication.run(bus, every_s=settings.interval_s),
                        self.narrowing.run(ask, every_s=conclude_every_s),
                        watch.run(bus, partial(self.publication.publish, bus), every_s=settings.interval_s),
                        self.round_trip.run(bus, every_s=settings.interval_s),
                    )
                    logger.warning("the bus dropped us; connecting again")
            except SystemRefusedError as error:
                self.round_trip.fail(str(error))
                if str(error) != said:
                    logger.warning("%s; connecting again", error)
                said = str(error)
            finally:
                self.readiness.suspend()
            await asyncio.sleep(_REOPEN_PAUSE_S)


async def _fail_with(server: Server) -> None:
    raise await server.wait_ended()
