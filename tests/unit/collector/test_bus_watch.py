"""What is gone from the bus is restored, and what it refuses makes the collector not ready."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netprobe.bus.connection import Connection, open_connection
from netprobe.bus.keys import read_seed
from netprobe.bus.login import SeedLogin
from netprobe.bus.subjects import plan_get_subject
from netprobe.collector.bus_watch import BusWatch
from netprobe.collector.readiness import Readiness
from netprobe.errors import BusAwayError, SystemRefusedError
from tests.unit.collector.test_service import AGENTS, house, join, measure, publish_patiently, until_stored
from tests.unit.nats_server import PATIENCE_S, needs_nats_server


@dataclass(slots=True)
class SpoiltBus:
    """Tells what it is told to tell."""

    refusal: str = ""
    missing: tuple[str, ...] = ()
    error: Exception | None = None
    done: list[str] = field(default_factory=list)

    async def find_missing(self) -> tuple[str, ...]:
        if self.error is not None:
            raise self.error
        return self.missing

    async def prepare(self) -> None:
        self.missing = ()
        self.done.append("prepared")

    async def restore(self) -> None:
        self.done.append("restored")


def ready(folder: Path) -> Readiness:
    made = Readiness(folder / "ready")
    made.announce("nats://127.0.0.1:1", "")
    return made


async def test_what_is_gone_is_restored_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    readiness, bus = ready(tmp_path), SpoiltBus(missing=("np1_windows", "KV_np1_plans"))
    watch = BusWatch(readiness)
    await watch.look(bus, bus.restore)
    await watch.look(bus, bus.restore)
    assert (bus.done, watch.restored, readiness.why_not()) == (["prepared", "restored"], 1, "")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "reports cannot be taken: gone from the bus: np1_windows, KV_np1_plans",
        "restored on the bus: np1_windows, KV_np1_plans",
    ]


async def test_what_is_refused_makes_it_not_ready_until_it_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    readiness, bus = ready(tmp_path), SpoiltBus("the bus refuses requests for reports: no (503)")
    watch = BusWatch(readiness)
    for _ in range(3):
        await watch.look(bus, bus.restore)
        assert readiness.why_not() == bus.refusal
    assert len(caplog.records) == 1
    bus.refusal = ""
    await watch.look(bus, bus.restore)
    assert readiness.why_not() == ""


async def test_a_bus_that_cannot_tell_is_not_ready_and_a_lost_one_ends_the_watch(tmp_path: Path) -> None:
    readiness, bus = ready(tmp_path), SpoiltBus(error=SystemRefusedError("JetStream is off"))
    watch = BusWatch(readiness)
    await watch.look(bus, bus.restore)
    assert readiness.why_not() == "JetStream is off"
    bus.error = BusAwayError("lost")
    with pytest.raises(BusAwayError):
        await watch.look(bus, bus.restore)


async def until_planned(raw: Connection) -> None:
    """Wait until the bucket with the plans is there and holds the first agent's."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(BusAwayError):  # no such bucket
                if (await raw.request(plan_get_subject(AGENTS[0]), b"", timeout_s=PATIENCE_S)).data:
                    return
            await asyncio.sleep(0.05)


@needs_nats_server
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "verb",
    [
        "CONSUMER.DELETE.np1_windows.collector",
        "STREAM.DELETE.np1_windows",
        "STREAM.DELETE.KV_np1_plans",
        "STREAM.DELETE.KV_np1_agents",
    ],
)
async def test_a_running_collector_takes_reports_again_after(tmp_path: Path, verb: str) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        bus, plan = await join(stack, here, AGENTS[0])
        login = SeedLogin(read_seed(tmp_path / "data" / "collector.seed"))
        raw = await open_connection(here.url, login=login, name="by hand")
        stack.push_async_callback(raw.close)
        await raw.request(f"$JS.API.{verb}", b"")
        await until_planned(raw)
        await publish_patiently(bus, measure(plan, 1))
        await until_stored(here, 1)
