"""The engine: runs a plan, answers peers, hands over what it measured at the end of each interval.

Rules: intervals are aligned to wall time; an interval is handed over once its last answers can no longer be
in time; a new plan begins with the next interval, so the current windows are never torn.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.ports import find_capability as find_port_capability
from netprobe.engine.drivers.registry import DRIVERS
from netprobe.engine.drivers.streams import StreamNet
from netprobe.engine.echo.icmp import IcmpEcho
from netprobe.engine.echo.udp import UdpEcho
from netprobe.engine.inflight import InFlightTable, IntervalProbes
from netprobe.engine.keyring import Keyring
from netprobe.engine.loss_validity import LossValidity
from netprobe.engine.plan_validation import expect_askable, find_unaskable
from netprobe.engine.responder.identity_http import IdentityServer
from netprobe.engine.responder.reflector import Reflector
from netprobe.engine.responder.server import Responder
from netprobe.engine.schedule import TICK_NS, Slot, apart, grace_ns, spread, tick_of
from netprobe.engine.stall_tracker import StallTracker, not_measured
from netprobe.engine.ticker import Ticker
from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Check, Plan
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import NotMeasured
from netprobe.model.prose import Prose
from netprobe.model.window import Measured
from netprobe.probes import registry
from netprobe.probes.kind import EchoDriver, PacketDriver, StreamDriver
from netprobe.probes.observation import Observation
from netprobe.wire.identity import Identity

AGENT_PORT = 9771
HELD_NS = 500_000_000
"""So long a peer that has much to do may hold an answer for which somebody waits."""
MAX_TALKS = 256
"""Conversations under way at once."""
logger = logging.getLogger("netprobe.engine")


class Engine:
    """One agent's prober and responder.

    >>> async def example(plan: Plan) -> None:
    ...     async with Engine(plan.agent, boot="4f2a90c1") as engine:
    ...         engine.use(plan)
    ...         await engine.run(print)
    """

    def __init__(
        self, agent: AgentId, *, boot: str, port: int = AGENT_PORT, clock: Clock | None = None
    ) -> None:
        self._clock = clock or Clock()
        self._agent = agent
        self._plan: Plan | None = None
        self._unaskable: dict[CheckId, str] = {}
        self._planned = asyncio.Event()
        self._rng = random.Random(f"{agent} {boot}")  # noqa: S311 - jitter
        nonce = self._rng.getrandbits(32)
        keys = self._keys = Keyring()
        self._ledger = InFlightTable()
        self._udp = UdpEcho(self._ledger, keys, nonce, self._clock)
        self._icmp = IcmpEcho(self._ledger, keys, nonce, self._clock)
        self._echoes: dict[str, UdpEcho | IcmpEcho] = {"udp": self._udp, "icmp": self._icmp}
        self._reflecting = Reflector(str(agent))
        self._http = IdentityServer(Identity(str(agent), boot), keys)
        self._responder = Responder(self._http, keys, self._clock, port, self._reflecting)
        self._ports = find_port_capability()
        self._stalls = StallTracker()
        self._beat = Ticker(self._stalls, self._clock, self._on_beat, period_ns=TICK_NS)
        self._talks = asyncio.Semaphore(MAX_TALKS)
        self._answers_dropped = 0
        self._requests_dropped = 0

    async def __aenter__(self) -> Engine:
        await self._responder.open()
        self._udp.open()
        self._icmp.open()
        self._beat.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beat.stop()
        self._icmp.close()
        self._udp.close()
        await self._responder.close()

    @property
    def agent(self) -> AgentId:
        """Who measures."""
        return self._agent

    @property
    def port(self) -> int:
        """Where peers are answered."""
        return self._responder.port

    def tell_ready(self, *, is_ready: bool) -> None:
        """What ``/readyz`` answers from now on."""
        self._http.is_ready = is_ready

    @property
    def capabilities(self) -> tuple[str, ...]:
        """How this process may ask here, echoes and TCP ports, and every kind that it knows."""
        return (str(self._icmp.capability), str(self._ports), *sorted(registry.KINDS))

    @property
    def unaskable(self) -> dict[CheckId, str]:
        """Checks of the plan that cannot be asked, and why; their windows are not measured."""
        return dict(self._unaskable)

    def use(self, plan: Plan) -> None:
        """Run *plan* from the next interval on; its key is believed at once."""
        if plan.agent != self._agent:
            raise MisuseError(f"the plan is for {plan.agent}, not for {self._agent}")
        if not plan.cookie_key:
            raise InputError("is empty: nobody could be believed", where="cookie_key")
        self._keys.use(plan.cookie_key)
        self._unaskable = find_unaskable(plan)
        self._udp.forget_ways()
        self._responder.interval_ns = plan.interval_ns
        probes = sum(check.count for check in plan.checks)
        self._beat.period_ns = self._responder.beat_ns = tick_of(plan.interval_ns, probes=probes)
        self._plan = plan
        self._planned.set()

    async def run(self, deliver: Callable[[Measured], None], *, intervals: int | None = None) -> None:
        """Measure until cancelled, or for a number of *intervals*."""
        await self._planned.wait()
        done = 0
        last_start_ns = 0
        async with asyncio.TaskGroup() as group:
            while intervals is None or done < intervals:
                assert self._plan is not None
                length_ns = self._plan.interval_ns
                start_ns = self._clock.wall_ns() // length_ns * length_ns + length_ns
                if start_ns == last_start_ns:  # woken a little early by clocks that differ
                    start_ns += length_ns
                last_start_ns = start_ns
                await self._sleep_until(self._clock.mono_of_wall(start_ns))
                if abs(self._clock.wall_ns() - start_ns) >= length_ns:
                    continue  # the wall clock was set, or we were stopped: nobody measured this interval
                await self._run_interval(self._plan, start_ns, deliver, group)
                done += 1

    async def ask(self, check: Check) -> tuple[Observation, ...]:
        """Ask one question now, ``check.count`` times in a row.

        Raises :class:`InputError` for a question that cannot be asked.
        """
        expect_askable(check)
        if isinstance(registry.get_kind(check.probe.kind).driver, PacketDriver):
            # its machine judges silence itself, and says more about it than that a time passed
            return tuple([await self._try_to_converse(check) for _ in range(check.count)])
        now_ns = self._clock.mono_ns()
        turn = IntervalProbes(start_ns=self._clock.wall_ns(), length_ns=0, began_ns=now_ns, is_kept=True)
        async with asyncio.TaskGroup() as group:
            for _ in range(check.count):
                self._launch((check,), turn, group, is_urgent=True)
                await asyncio.sleep(0.02)
        until_ns = self._clock.mono_ns() + check.probe.timeout_ns + HELD_NS
        while not turn.is_settled and self._clock.mono_ns() < until_ns:
            await asyncio.sleep(0.01)
            self._drain()
        self._drain()
        self._ledger.close(turn, doubt=LossValidity(self._stalls, now_ns=self._clock.mono_ns()))
        return tuple(turn.tally(check).seen or ())

    async def _run_interval(
        self, plan: Plan, start_ns: int, deliver: Callable[[Measured], None], group: asyncio.TaskGroup
    ) -> None:
        began_ns = self._clock.mono_of_wall(start_ns)
        turn = IntervalProbes(start_ns=start_ns, length_ns=plan.interval_ns, began_ns=began_ns)
        slots = deque(spread(plan.checks, interval_ns=plan.interval_ns, rng=self._rng))
        while slots:
            now_ns = await self._beat.next()
            before_ns = now_ns - began_ns + self._beat.period_ns
            due = []
            while slots and slots[0].offset_ns < before_ns:
                due.append(slots.popleft())
            fit = [slot.check for slot in due if self._is_fit(slot, turn, now_ns=now_ns)]
            for batch in apart(fit):
                self._launch(batch, turn, group)
        group.create_task(self._close_later(plan, turn, deliver))

    def _is_fit(self, slot: Slot, turn: IntervalProbes, *, now_ns: int) -> bool:
        """Whether it can and may still be asked; otherwise it is noted that it was not.

        The first beat of an interval comes up to a period after its start: by so much nobody is late.
        """
        reason = self._unaskable.get(slot.check.id)
        why = NotMeasured(Prose(reason)) if reason else None
        late_ns = now_ns - turn.began_ns - slot.offset_ns - self._beat.period_ns
        if why is None and late_ns > slot.check.probe.timeout_ns // 2:
            why = not_measured(late_ns)
        if why is not None:
            self._ledger.miss(slot.check, turn, why)
        return why is None

    def _launch(
        self,
        checks: Sequence[Check],
        turn: IntervalProbes,
        group: asyncio.TaskGroup,
        *,
        is_urgent: bool = False,
    ) -> None:
        by_kind: dict[str, list[Check]] = {}
        for check in checks:
            by_kind.setdefault(check.probe.kind, []).append(check)
        for kind, batch in by_kind.items():
            match registry.get_kind(kind).driver:
                case EchoDriver():
                    self._echoes[kind].send(batch, turn, is_urgent=is_urgent)
                case StreamDriver() | PacketDriver():
                    self._start_conversations(batch, turn, group)

    def _start_conversations(
        self, checks: Sequence[Check], turn: IntervalProbes, group: asyncio.TaskGroup
    ) -> None:
        for check in checks:
            if self._talks.locked():
                why = NotMeasured(Prose(f"{MAX_TALKS} conversations are under way already"))
                self._ledger.miss(check, turn, why)
            else:
                group.create_task(self._talk(check, turn))

    async def _talk(self, check: Check, turn: IntervalProbes) -> None:
        async with self._talks:
            probe = self._ledger.ask(check, turn, now_ns=self._clock.mono_ns())
            self._ledger.saw(probe, await self._try_to_converse(check))

    async def _try_to_converse(self, check: Check) -> Observation:
        try:
            return await self._converse(check)
        except Exception as error:  # noqa: BLE001 - one kind's bug must not silence all the others
            logger.warning("check %d (%s): %s: %s", check.id, check.probe.kind, type(error).__name__, error)
            return Observation(NotMeasured(Prose(f"our own mistake: {type(error).__name__}")))

    async def _converse(self, check: Check) -> Observation:
        kind = registry.get_kind(check.probe.kind)
        match kind.driver:
            case StreamDriver(ask):
                return await ask(check, StreamNet(check))
            case PacketDriver():
                return await DRIVERS[kind.name](check, self._clock, self._keys.key, self._rng)
            case EchoDriver():
                raise MisuseError(f"{kind.name} is sent in batches, it is no conversation")

    async def _close_later(
        self, plan: Plan, turn: IntervalProbes, deliver: Callable[[Measured], None]
    ) -> None:
        ended_ns = turn.began_ns + turn.length_ns
        await self._sleep_until(ended_ns + grace_ns(plan.checks, interval_ns=plan.interval_ns))
        self._drain()
        self._beat.check()
        answers = self._udp.count_dropped() + self._icmp.count_dropped() - self._answers_dropped
        requests = self._responder.count_dropped() - self._requests_dropped
        self._answers_dropped += answers
        self._requests_dropped += requests
        doubting = LossValidity(self._stalls, now_ns=self._clock.mono_ns(), dropped=answers)
        windows = self._ledger.close(turn, doubt=doubting)
        self._ledger.forget({check.id for check in (self._plan or plan).checks})
        deliver(
            Measured(
                start_ns=turn.start_ns,
                length_ns=turn.length_ns,
                windows=windows,
                heard=self._reflecting.heard(
                    until_ns=turn.start_ns + turn.length_ns,
                    everything_ns=turn.start_ns + 3 * turn.length_ns,
                ),
                loop_lag_ns=self._stalls.worst_ns(since_ns=turn.began_ns, until_ns=self._clock.mono_ns()),
                packets_dropped=answers + requests,
            )
        )

    def _on_beat(self) -> None:
        """Answer what gathered, and read what came."""
        self._responder.answer_gathered()
        if self._ledger.waiting:
            self._drain()

    def _drain(self) -> None:
        self._udp.drain()
        self._icmp.drain()

    async def _sleep_until(self, mono_ns: int) -> None:
        wait_s = (mono_ns - self._clock.mono_ns()) / 1e9
        if wait_s > 0:
            await asyncio.sleep(wait_s)
