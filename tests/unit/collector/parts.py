"""The parts of a collector without a bus server: real planning and history, a bus that is a list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from netprobe.bus.collector import Delivery
from netprobe.bus.server import Listen
from netprobe.bus.subjects import windows_subject
from netprobe.cli.actions.collector import plan
from netprobe.collector.admission import Admission
from netprobe.collector.bus_auth import BusAuth
from netprobe.collector.cluster_watchers import FleetView
from netprobe.collector.plan_rotation import PlanRotation
from netprobe.collector.ports import AnalysisPorts, NewAnalyst, Planner
from netprobe.collector.service import CollectorService, wire
from netprobe.collector.settings import Settings
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.window import Report
from netprobe.store.history import History
from netprobe.wire.messages import Presence
from netprobe.wire.reports import encode_report
from netprobe.wire.resend import ResendRequest
from tests.unit.collector.process import Counting

INVENTORY = """\
clusters:
  - name: prod
    nodes:
      - {name: gw, role: gateway, host_addresses: [192.0.2.1], pod_addresses: [198.51.100.1]}
      - {name: w1, host_addresses: [192.0.2.2], pod_addresses: [198.51.100.2]}
"""
THIRD_NODE = "      - {name: w2, host_addresses: [192.0.2.3], pod_addresses: [198.51.100.3]}\n"
INTERVAL_NS = 20_000_000


@dataclass(slots=True)
class ListBus:
    """Remembers what was published; delivers what it was given."""

    deliveries: list[Delivery] = field(default_factory=list)
    acknowledged: list[Delivery] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    present: tuple[Presence, ...] = ()
    asked_again: list[ResendRequest] = field(default_factory=list)
    sends_again: tuple[int, ...] | None = ()
    """What every agent answers that is asked for missing reports."""

    async def take(self) -> tuple[Delivery, ...]:
        taken, self.deliveries = tuple(self.deliveries), []
        return taken

    async def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        self.acknowledged += deliveries

    async def ask_again(self, request: ResendRequest) -> tuple[int, ...] | None:
        self.asked_again.append(request)
        return self.sends_again

    async def put_plans(self, plans: Iterable[Plan]) -> None:
        self.plans += plans

    async def find_present(self, among: Collection[AgentId] | None = None) -> tuple[Presence, ...]:
        return tuple(one for one in self.present if among is None or one.agent in among)


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector's parts, and what they were made of."""

    service: CollectorService
    history: History
    rotation: PlanRotation
    settings: Settings

    @property
    def checks(self) -> int:
        return len(self.service.analysis.fleet.checks)


@contextmanager
def collector_parts(
    folder: Path, *, new_analyst: NewAnalyst = Counting, planner: Planner = plan, epoch_intervals: int = 0
) -> Iterator[Collector]:
    (folder / "inventory.yaml").write_text(INVENTORY)
    settings = Settings(
        folder / "inventory.yaml", folder, Listen("127.0.0.1", 0), None,
        interval_ns=INTERVAL_NS, epoch_intervals=epoch_intervals, bus=("192.0.2.9:4222",),
    )  # fmt: skip
    view = FleetView(None)
    rotation = PlanRotation(settings, planner, view)
    with closing(History(settings.history_database)) as history:
        ports = AnalysisPorts(planner, new_analyst)
        service = wire(settings, ports, history, rotation, view, BusAuth(Admission(), None))
        yield Collector(service, history, rotation, settings)


def delivery_of(report: Report) -> Delivery:
    return Delivery(windows_subject(report.agent), encode_report(report), f"token {report.sequence}")
