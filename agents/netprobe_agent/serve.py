"""``netprobe-agent serve``: run the plans from the bus, answer peers, publish reports."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netprobe import __version__
from netprobe.bus.agent import AgentBus
from netprobe.bus.login import Login, ServerTrust
from netprobe.engine.engine import Engine
from netprobe.errors import BusAwayError, NetprobeError
from netprobe.model.names import AgentId
from netprobe.model.window import AgentHealth, Measured, Report
from netprobe.tasks import end_tasks
from netprobe.wire.messages import Presence
from netprobe_agent.bus_address_cache import load_bus_addresses, save_bus_addresses
from netprobe_agent.gc_tuning import GcTuning
from netprobe_agent.outbox import Outbox
from netprobe_agent.questions import Network, QuestionHandler
from netprobe_agent.spool import Spool

PRESENCE_EVERY_S = 5.0
GOODBYE_S = 3.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options from the command line."""

    agent: AgentId
    bus: str
    login: Login
    spool: Path
    port: int
    spool_bytes: int
    allowed: tuple[Network, ...] = ()
    protocols: frozenset[str] | None = None
    """Of which packets that an asker built may be sent; None for all."""
    trust: ServerTrust | None = None
    addresses: tuple[str, ...] = ()
    """Addresses of this agent for its peers; empty if not given."""
    bus_at: str = ""
    """``IP:PORT`` where the bus is found instead of at its name; empty if not given."""


class Reporter:
    """Turns results of the engine into reports."""

    def __init__(self, agent: AgentId, boot: str, spool: Spool, outbox: Outbox) -> None:
        self._agent = agent
        self._boot = boot
        self._spool = spool
        self._outbox = outbox
        self._sequence = 0
        self._gc_tuning = GcTuning()
        self._epoch = 0
        self.capabilities: tuple[str, ...] = ()

    @property
    def epoch(self) -> int:
        """Epoch of the running plan; 0 if there is none yet."""
        return self._epoch

    def begin_plan(self, epoch: int) -> None:
        """Assign later results to the plan of *epoch*."""
        self._epoch = epoch
        self._gc_tuning.begin_plan()

    def deliver(self, measured: Measured) -> None:
        """Number the report, add our health, and queue it."""
        self._sequence += 1
        health = AgentHealth(
            agent=self._agent,
            at_ns=time.time_ns(),
            epoch=self.epoch,
            loop_lag_ns=measured.loop_lag_ns,
            packets_dropped=measured.packets_dropped,
            windows_dropped=self._spool.windows_dropped,
            windows_spooled=self._spool.windows,
            capabilities=self.capabilities,
            version=__version__,
            disk_refuses=self._spool.refuses,
        )
        self._outbox.put(
            Report(
                agent=self._agent,
                epoch=self.epoch,
                sequence=self._sequence,
                boot=self._boot,
                start_ns=measured.start_ns,
                length_ns=measured.length_ns,
                windows=measured.windows,
                heard=measured.heard,
                health=health,
            )
        )
        self._gc_tuning.end_interval()


async def serve(options: ServeOptions) -> None:
    """Run until SIGTERM or SIGINT."""
    spool = Spool(options.spool, max_bytes=options.spool_bytes)
    boot = secrets.token_hex(8)
    stopping = _stop_on_signals()
    async with (
        Engine(options.agent, boot=boot, port=options.port) as engine,
        await AgentBus.connect(
            options.bus,
            agent=options.agent,
            login=options.login,
            trust=options.trust,
            at=options.bus_at,
            direct_addresses=load_bus_addresses(options.spool, options.agent),
        ) as bus,  # fmt: skip
    ):
        outbox = Outbox(spool, report_state=lambda is_ready: engine.tell_ready(is_ready=is_ready))
        reporter = Reporter(options.agent, boot, spool, outbox)
        reporter.capabilities = engine.capabilities
        answering = QuestionHandler(options.agent, engine.ask, time.monotonic_ns, options.allowed)
        answering.protocols = options.protocols
        bus.questions(answering.answer)
        async with asyncio.TaskGroup() as group:
            working = (
                group.create_task(outbox.send_forever(bus)),
                group.create_task(_follow_plans(bus, engine, reporter, answering, options.spool)),
                group.create_task(_announce(bus, engine, reporter, boot, options.addresses)),
                group.create_task(engine.run(reporter.deliver)),
            )
            await stopping.wait()
            logger.info("stopping")
            await end_tasks(working)
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await bus.close()


async def _follow_plans(
    bus: AgentBus, engine: Engine, reporter: Reporter, answering: QuestionHandler, folder: Path
) -> None:
    async for plan in bus.plans():
        save_bus_addresses(folder, plan)
        try:
            engine.use(plan)
        except NetprobeError as error:
            logger.warning("plan %d cannot be run: %s", plan.epoch, error)
            continue
        reporter.begin_plan(plan.epoch)
        answering.plan = plan
        logger.info("plan %d: %d checks", plan.epoch, len(plan.checks))
        for check, reason in engine.unaskable.items():
            logger.warning("check %d cannot be asked: %s", check, reason)


async def _announce(
    bus: AgentBus, engine: Engine, reporter: Reporter, boot: str, addresses: tuple[str, ...]
) -> None:
    while True:
        presence = Presence(
            agent=engine.agent,
            boot=boot,
            at_ns=time.time_ns(),
            epoch=reporter.epoch,
            version=__version__,
            capabilities=engine.capabilities,
            addresses=addresses,
        )
        try:
            await bus.announce(presence)
        except BusAwayError:
            await asyncio.sleep(0.5)
        else:
            await asyncio.sleep(PRESENCE_EVERY_S)


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping
