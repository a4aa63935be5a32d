"""What one agent sends too much of, and addresses that it says it has: other agents must not notice.

Rule: each flood is one batch of the stream, with a report of another agent behind it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from netprobe.bus.collector import Delivery
from netprobe.bus.subjects import windows_subject
from netprobe.collector.report_ingest import LARGE_BYTES
from netprobe.discovery.merge import KnownCluster, merge_inventory
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.model.units import HOUR_NS
from netprobe.model.window import Report
from netprobe.wire.reports import columns_of, encode_columns
from tests.attack.tally import AttackTally
from tests.attack.world import log_lines
from tests.unit.collector.parts import Collector, ListBus, collector_parts, delivery_of
from tests.unit.collector.process import Counting
from tests.unit.collector.test_report_allowance import BURST
from tests.unit.collector.test_service import measure

JUNK = 200
DETAIL = 1_000
"""Characters of a text; no window may say more."""
_CENTURY_NS = 100 * 365 * 24 * HOUR_NS
_DAY_NS = 24 * HOUR_NS
LOGGER = "netprobe.collector"
RANGE, STRANGERS = "10.7.0.0/16", ("203.0.113.9", "8.8.8.8", "169.254.169.254", "127.0.0.1")


class OrderOfReports(Counting):
    """Notes the agents in the order in which their reports are analysed."""

    def __init__(self, order: list[AgentId], inventory: Inventory, fleet: FleetPlan) -> None:
        super().__init__(inventory, fleet)
        self._order = order

    def observe(self, report: Report, *, now_ns: int) -> None:
        self._order.append(report.agent)


async def attack_with_floods() -> AttackTally:
    """Junk, many reports, large ones, and one of another century."""
    tally, order = AttackTally(), list[AgentId]()
    analyst = partial(OrderOfReports, order)
    with TemporaryDirectory() as made, collector_parts(Path(made), new_analyst=analyst) as here:
        first, other = (measure(plan, 1) for plan in here.service.analysis.fleet.plans[:2])
        async with log_lines(LOGGER) as lines:
            junk = Delivery(windows_subject(first.agent), b"\x01\xc1", "junk")
            await here.service.ingest.take(ListBus([junk] * JUNK))
        tally.note("junk: one line", held=len(lines) == 1)
        tally.note("junk: counted", held=here.history.counters().messages_malformed == JUNK)
        many = [replace(first, sequence=number) for number in range(1, BURST + 100)]
        bus = await _take(here, [*many, other])
        own = sum(one.subject == windows_subject(first.agent) for one in bus.acknowledged)
        tally.note("many: acknowledged late", held=own < len(many))
        tally.note("many: another's is acknowledged at once", held=len(bus.acknowledged) == own + 1)
        tally.note("many: another's is taken in turn", held=other.agent in order[:2])
        order.clear()
        await here.service.ingest.take(ListBus([_large(first), delivery_of(replace(other, sequence=2))]))
        tally.note("large: another's is taken first", held=order[:1] == [other.agent])
        tally.note("large: kept without what no window uses", held=_largest_body(here) < LARGE_BYTES)
        await _take(here, [replace(first, sequence=20_000, start_ns=first.start_ns + _CENTURY_NS)])
        here.history.prune(before_ns=time.time_ns() + 2 * _DAY_NS)
        tally.note("another century: is pruned some day", held=not list(here.history.reports_since(0)))
    return tally


async def _take(here: Collector, reports: Sequence[Report]) -> ListBus:
    bus = ListBus([delivery_of(report) for report in reports])
    await here.service.ingest.take(bus)
    return bus


def _large(report: Report) -> Delivery:
    """*report*, with many texts that none of its windows uses."""
    columns = columns_of(replace(report, sequence=10_000))
    unused = [f"{number}".ljust(DETAIL, "x") for number in range(2 * LARGE_BYTES // DETAIL)]
    windows = structs.replace(columns.windows, texts=[*columns.windows.texts, *unused])
    data = encode_columns(structs.replace(columns, windows=windows))
    return Delivery(windows_subject(report.agent), data, "large")


def _largest_body(here: Collector) -> int:
    with closing(sqlite3.connect(here.settings.data / "history.db")) as connection:
        return int(connection.execute("select max(length(body)) from reports").fetchone()[0])


async def attack_with_addresses() -> AttackTally:
    """The API of its cluster is away, and an agent says that it is where others are: no probe goes there."""
    tally = AttackTally()
    cluster = ClusterName("prod")
    known = Node(NodeName("w1"), host_addresses=("192.0.2.1",), pod_addresses=("10.7.1.1",))
    written = Inventory((Cluster(cluster, (known,), pod_cidrs=(RANGE,)),))
    for plane, own in (("pod", "10.7.9.9"), ("host", "192.0.2.9")):
        thief = AgentId.parse(f"prod/w9/{plane}")
        for address in (own, *STRANGERS):
            away = KnownCluster(cluster, None, away="its API does not answer")
            merged = merge_inventory(written, [away], {thief: (address,)})
            found = {one for node in merged.clusters[0].nodes for one in node.addresses(thief.plane)}
            tally.note(f"{plane} {address}", held=(address in found) == (address == own))
    return tally
