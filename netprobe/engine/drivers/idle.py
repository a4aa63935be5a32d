"""Drives ``probes.idle``: one connection per gap, each with a task of its own."""

from __future__ import annotations

import asyncio
import random

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.streams import StreamNet
from netprobe.engine.keyring import Keyring
from netprobe.model.check import Check
from netprobe.model.outcome import AppFailed
from netprobe.model.prose import Prose
from netprobe.probes import idle
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke
from netprobe.probes.net import Closed, Stream
from netprobe.probes.observation import Observation
from netprobe.tasks import BackgroundTasks
from netprobe.wire.hold_request import encode_hold
from netprobe.wire.stamp import Seal

_AGAIN = b"GET / HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n"


async def wait_idle(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Wait out the gaps; every failure is an outcome."""
    del rng
    waiting = _IdleFlows(check, clock, keys.seal_for(check))
    try:
        return await waiting.run()
    finally:
        await waiting.close()


class _IdleFlows:
    """All flows of one probe."""

    def __init__(self, check: Check, clock: Clock, seal: Seal) -> None:
        self._check, self._clock, self._seal = check, clock, seal
        self._net = StreamNet(check)
        self._state = idle.begin(check.probe)
        self._news: asyncio.Queue[idle.Event] = asyncio.Queue()
        self._flows = BackgroundTasks()
        self._gates: dict[int, asyncio.Event] = {}
        self._wake_ns = 0
        self._seen: Observation | None = None

    async def run(self) -> Observation:
        """To the end."""
        self._feed(ProbeStarted(self._clock.mono_ns()))
        while self._seen is None:
            try:
                async with asyncio.timeout_at(self._wake_ns / 1e9):
                    event = await self._news.get()
            except TimeoutError:
                event = Woke(self._clock.mono_ns())
            self._feed(event)
        return self._seen

    async def close(self) -> None:
        """End every flow."""
        await self._flows.end()

    def _feed(self, event: idle.Event) -> None:
        self._state, commands = idle.step(self._state, event)
        for command in commands:
            match command:
                case idle.OpenFlow(gap_s):
                    self._gates[gap_s] = asyncio.Event()
                    self._flows.start(self._keep(gap_s), name=f"flow with a gap of {gap_s} s")
                case idle.AskFlow(gap_s):
                    self._gates[gap_s].set()
                case WakeAt(at_ns):
                    self._wake_ns = at_ns
                case Finish(seen):
                    self._seen = seen

    async def _keep(self, gap_s: int) -> None:
        """One flow from its connection to its last answer."""
        stream = await self._net.connect(self._check, port=self._check.probe.port)
        if isinstance(stream, Observation):
            self._news.put_nowait(idle.FlowFailed(gap_s, stream, self._clock.mono_ns()))
            return
        try:
            self._news.put_nowait(await self._settle(gap_s, stream))
            async with BackgroundTasks() as asking:
                asking.start(self._ask(gap_s, stream), name=f"request after {gap_s} s")
                data = await stream.receive()
            self._news.put_nowait(self._hear(gap_s, data))
        finally:
            stream.close()

    async def _settle(self, gap_s: int, stream: Stream) -> idle.Event:
        """Ask the agent to hold the connection."""
        await stream.send(encode_hold(gap_s + 60, seal=self._seal))
        data = await stream.receive()
        now_ns = self._clock.mono_ns()
        if isinstance(data, bytes) and data.startswith(b"HTTP/1.1 200"):
            return idle.FlowReady(gap_s, now_ns)
        if isinstance(data, Observation):
            return idle.FlowFailed(gap_s, data, now_ns)
        return idle.FlowFailed(
            gap_s, Observation(AppFailed(Prose("no agent there that holds a connection for us"))), now_ns
        )

    async def _ask(self, gap_s: int, stream: Stream) -> None:
        await self._gates[gap_s].wait()
        await stream.send(_AGAIN)

    def _hear(self, gap_s: int, data: bytes | Closed | Observation) -> idle.Event:
        now_ns = self._clock.mono_ns()
        match data:
            case bytes():
                return idle.FlowAnswered(gap_s, now_ns)
            case Closed(reset):
                return idle.FlowBroken(gap_s, now_ns, reset)
            case Observation():  # the probe's own deadline; the machine knows it, too
                return Woke(now_ns)
