"""An agent without probes: a real report every interval, through a real outbox, spool and bus connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from netprobe.bus.agent import AgentBus
from netprobe.bus.login import SeedLogin
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.units import SECOND_NS
from netprobe.model.window import AgentHealth, Histogram, Report, Window
from netprobe_agent.outbox import Outbox
from netprobe_agent.spool import Spool


class SimulatedAgent:
    """One agent; every check of its plan is answered."""

    def __init__(self, name: AgentId, seed: str, url: str, folder: Path, *, interval_s: float) -> None:
        self.name = name
        self._seed, self._url, self._folder = seed, url, folder
        self.interval_s = interval_s
        self.clock_s = 0.0
        """By how much this agent's clock is ahead."""
        self.sent: set[tuple[str, str, int]] = set()
        self.acknowledged_s = time.monotonic()
        """When the bus took a report last."""
        self.acknowledged: set[tuple[str, str, int]] = set()
        """Reports that the bus has taken."""
        self._plan: Plan | None = None
        self._extra = 0
        self._is_measuring = True
        self.spool = Spool(folder)
        self._outbox = Outbox(self.spool, pause_s=0.1)
        self._sending: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Reports that the bus has not taken."""
        return len(self._outbox)

    def pause(self) -> None:
        """Make no more reports."""
        self._is_measuring = False

    @property
    def plan(self) -> Plan | None:
        """The newest one that it was given."""
        return self._plan

    def make_extra(self) -> Report:
        """A report beside the usual ones, which the caller sends."""
        assert self._plan is not None
        self._extra += 1
        return replace(self._report(self._plan, self._extra), boot="extra")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect and report for the time of the block."""
        async with await AgentBus.connect(self._url, agent=self.name, login=SeedLogin(self._seed)) as bus:
            self._bus = bus
            jobs = [asyncio.create_task(job) for job in (self._follow_plans(bus), self._measure())]
            self._start_sending()
            try:
                yield
            finally:
                for job in (*jobs, self._sending):
                    if job is not None:
                        job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)

    async def stop_sending(self) -> None:
        """As an agent that ends: everything that waits is in the spool's files."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._outbox.spill()

    def start_again(self) -> None:
        """As an agent that starts: with the spool that it finds."""
        self.spool = Spool(self._folder)
        self._outbox = Outbox(self.spool, pause_s=0.1)
        self._start_sending()

    def _start_sending(self) -> None:
        self._sending = asyncio.create_task(self._outbox.send_forever(self))

    async def publish(self, report: Report) -> None:
        """As the outbox wants it: hand *report* to the bus, and note that it was taken."""
        await self._bus.publish(report)
        self.acknowledged.add((str(self.name), report.boot, report.sequence))
        self.acknowledged_s = time.monotonic()

    async def _follow_plans(self, bus: AgentBus) -> None:
        async for plan in bus.plans():
            self._plan = plan

    async def _measure(self) -> None:
        sequence = 0
        while True:
            now_s = time.time()
            await asyncio.sleep(self.interval_s - now_s % self.interval_s)
            if self._plan is None or not self._is_measuring:
                continue
            sequence += 1
            report = self._report(self._plan, sequence)
            self.sent.add((str(self.name), report.boot, sequence))
            self._outbox.put(report)

    def _report(self, plan: Plan, sequence: int) -> Report:
        now_ns = time.time_ns() + round(self.clock_s * SECOND_NS)
        start_ns = (now_ns // plan.interval_ns - 1) * plan.interval_ns
        windows = tuple(
            Window(
                check.id, start_ns, plan.interval_ns, check.count, check.count,
                ((OutcomeKind.REACHED, check.count),), rtt=Histogram.of([1_000_000] * check.count),
            )
            for check in plan.checks
        )  # fmt: skip
        health = AgentHealth(
            plan.agent, now_ns, plan.epoch, windows_dropped=self.spool.windows_dropped,
            windows_spooled=self.spool.windows, disk_refuses=self.spool.refuses,
        )  # fmt: skip
        return Report(
            plan.agent, plan.epoch, sequence, "b00t", start_ns, plan.interval_ns, windows, (), health
        )
