"""The engine: runs a plan, answers peers, and delivers the measurements of each interval.

Rules: intervals are aligned to wall time; an interval is delivered once no response can be in time any more;
a new plan begins with the next interval, so no window mixes two plans.
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
from netprobe.engine.drivers.registry import find_driver
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
from netprobe.engine.schedule import TICK_NS, Slot, deduplicate_per_tick, grace_ns, spread, tick_of
from netprobe.engine.stall_tracker import StallTracker, not_measured
from netprobe.engine.ticker import Ticker
from netprobe.errors import InputError, MisuseError
from netprobe.model.capability import Capability
from netprobe.model.check import Check, Plan
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import NotMeasured
from netprobe.model.prose import Prose
from netprobe.model.units import SECOND_NS
from netprobe.model.window import Measured
from netprobe.probes import registry
from netprobe.probes.kind import EchoDriver, PacketDriver, StreamDriver
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import packet_options_of
from netprobe.probes.repeats import write_source_port
from netprobe.wire.identity import Identity

AGENT_PORT = 9771
HELD_NS = 500_000_000
"""How long a busy peer may hold the response to an on-demand question."""
REPEATS_S = 0.03
"""How long a question on demand listens for further answers to the same packets."""
MAX_CONVERSATIONS = 256
"""Stream and packet probes under way at once."""
logger = logging.getLogger(__name__)


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
        self._secret_rng = random.SystemRandom()
        """Numbers sessions: a thief of a key who could guess the number could forge answers."""
        nonce = self._secret_rng.getrandbits(32)
        keys = self._keys = Keyring(agent)
        self._in_flight = InFlightTable()
        self._udp = UdpEcho(self._in_flight, keys, nonce, self._clock)
        self._icmp = IcmpEcho(self._in_flight, keys, nonce, self._clock)
        self._echoes: dict[str, UdpEcho | IcmpEcho] = {"udp": self._udp, "icmp": self._icmp}
        self._reflector = Reflector(
            str(agent), nonce=keys.nonce, started_s=self._clock.wall_ns() // SECOND_NS
        )
        self._http = IdentityServer(Identity(str(agent)), keys)
        self._responder = Responder(self._http, keys, self._clock, port, self._reflector)
        self._ports = find_port_capability()
        self._stalls = StallTracker()
        self._ticker = Ticker(self._stalls, self._clock, self._on_tick, period_ns=TICK_NS)
        self._conversations = asyncio.Semaphore(MAX_CONVERSATIONS)
        self._answers_dropped = 0
        self._requests_dropped = 0

    async def __aenter__(self) -> Engine:
        await self._responder.open()
        self._udp.open()
        self._icmp.open()
        self._ticker.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._icmp.close()
        self._udp.close()
        await self._responder.close()

    @property
    def agent(self) -> AgentId:
        """The agent that measures."""
        return self._agent

    @property
    def port(self) -> int:
        """The port on which peers are answered."""
        return self._responder.port

    def tell_ready(self, *, is_ready: bool) -> None:
        """Set what ``/readyz`` answers."""
        self._http.is_ready = is_ready

    @property
    def capabilities(self) -> tuple[str, ...]:
        """How this process can send echoes and scan TCP ports here, and every probe kind that it knows."""
        ways = (str(self._icmp.capability), str(self._ports), str(Capability.PAIR_KEYS))
        return (*ways, *sorted(registry.KINDS))

    @property
    def unaskable(self) -> dict[CheckId, str]:
        """Checks of the plan that cannot be asked, with the reason; their windows are not measured."""
        return dict(self._unaskable)

    def use(self, plan: Plan) -> None:
        """Run *plan* from the next interval on; its keys, and no others, are used at once."""
        if plan.agent != self._agent:
            raise MisuseError(f"the plan is for {plan.agent}, not for {self._agent}")
        if plan.checks and not (plan.cookie_key or plan.own_keys or plan.target_keys):
            raise InputError("is empty: responses could not be authenticated", where="target_keys")
        self._keys.use(plan)
        without_key = {check.id: reason for check in plan.checks if (reason := self._keys.why_not(check))}
        self._unaskable = without_key | find_unaskable(plan)
        logger.debug("%s: plan %d: %d checks every %.1f s, %d of them cannot be asked", self._agent,
                     plan.epoch, len(plan.checks), plan.interval_ns / 1e9, len(self._unaskable))  # fmt: skip
        self._udp.forget_routes()
        self._responder.interval_ns = plan.interval_ns
        probes = sum(check.count for check in plan.checks)
        self._ticker.period_ns = self._responder.tick_ns = tick_of(plan.interval_ns, probes=probes)
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
                if start_ns == last_start_ns:  # woken early because the clocks differ
                    start_ns += length_ns
                last_start_ns = start_ns
                await self._sleep_until(self._clock.mono_of_wall(start_ns))
                if abs(self._clock.wall_ns() - start_ns) >= length_ns:
                    logger.info("%s: interval %d is not measured: the clock jumped", self._agent, start_ns)
                    continue  # the wall clock was set or this process was stopped: not measured
                await self._run_interval(self._plan, start_ns, deliver, group)
                done += 1

    async def ask(self, check: Check) -> tuple[Observation, ...]:
        """Ask one question now, ``check.count`` times in a row.

        Raises :class:`InputError` for a question that cannot be asked.
        """
        expect_askable(check)
        if why_not := self._keys.why_not(check):
            raise InputError(why_not)
        logger.debug("%s: on-demand %s check of %s", self._agent, check.probe.kind, check.target.name)
        if isinstance(registry.get_kind(check.probe.kind).driver, PacketDriver):
            # its machine judges silence itself and explains it better than a time-out
            return tuple([await self._ask_guarded(check) for _ in range(check.count)])
        now_ns = self._clock.mono_ns()
        interval = IntervalProbes(start_ns=self._clock.wall_ns(), length_ns=0, began_ns=now_ns, is_kept=True)
        async with asyncio.TaskGroup() as group:
            for _ in range(check.count):
                self._launch((check,), interval, group, is_urgent=True)
                await asyncio.sleep(0.02)
        until_ns = self._clock.mono_ns() + check.probe.timeout_ns + HELD_NS
        while not interval.is_settled and self._clock.mono_ns() < until_ns:
            await asyncio.sleep(0.01)
            self._drain()
        if check.probe.kind in self._echoes and interval.counters(check).rtts_ns:
            await asyncio.sleep(REPEATS_S)
        self._drain()
        self._in_flight.close(interval, doubt=LossValidity(self._stalls, now_ns=self._clock.mono_ns()))
        return tuple(interval.counters(check).seen or ())

    async def _run_interval(
        self, plan: Plan, start_ns: int, deliver: Callable[[Measured], None], group: asyncio.TaskGroup
    ) -> None:
        began_ns = self._clock.mono_of_wall(start_ns)
        interval = IntervalProbes(start_ns=start_ns, length_ns=plan.interval_ns, began_ns=began_ns)
        logger.debug("%s: interval %d begins", self._agent, start_ns)
        slots = deque(spread(plan.checks, interval_ns=plan.interval_ns, rng=self._rng))
        while slots:
            now_ns = await self._ticker.next()
            before_ns = now_ns - began_ns + self._ticker.period_ns
            due = []
            while slots and slots[0].offset_ns < before_ns:
                due.append(slots.popleft())
            fit = [slot.check for slot in due if self._may_send(slot, interval, now_ns=now_ns)]
            for batch in deduplicate_per_tick(fit):
                self._launch(batch, interval, group)
        group.create_task(self._close_later(plan, interval, deliver))

    def _may_send(self, slot: Slot, interval: IntervalProbes, *, now_ns: int) -> bool:
        """Whether it can be sent and is still in time; otherwise record that it was skipped.

        The first tick of an interval comes up to a period after its start: that much is not late.
        """
        reason = self._unaskable.get(slot.check.id)
        why = NotMeasured(Prose(reason)) if reason else None
        late_ns = now_ns - interval.began_ns - slot.offset_ns - self._ticker.period_ns
        if why is None and late_ns > slot.check.probe.timeout_ns // 2:
            why = not_measured(late_ns)
        if why is not None:
            self._in_flight.record_skipped(slot.check, interval, why)
        return why is None

    def _launch(
        self,
        checks: Sequence[Check],
        interval: IntervalProbes,
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
                    self._echoes[kind].send(batch, interval, is_urgent=is_urgent)
                case StreamDriver() | PacketDriver():
                    self._start_conversations(batch, interval, group)

    def _start_conversations(
        self, checks: Sequence[Check], interval: IntervalProbes, group: asyncio.TaskGroup
    ) -> None:
        for check in checks:
            if self._conversations.locked():
                why = NotMeasured(Prose(f"{MAX_CONVERSATIONS} conversations are under way already"))
                self._in_flight.record_skipped(check, interval, why)
            else:
                group.create_task(self._run_conversation(check, interval))

    async def _run_conversation(self, check: Check, interval: IntervalProbes) -> None:
        async with self._conversations:
            probe = self._in_flight.ask(check, interval, now_ns=self._clock.mono_ns())
            turn = probe.sequence - 1
            if (port := packet_options_of(check.probe).source_port(turn)) != 0:
                probe.values = (write_source_port(port),)
            self._in_flight.record_response(probe, await self._ask_guarded(check, turn=turn))

    async def _ask_guarded(self, check: Check, *, turn: int = 0) -> Observation:
        try:
            return await self._ask(check, turn)
        except Exception as error:  # noqa: BLE001 - one kind's bug must not silence all the others
            logger.warning("check %d (%s): %s: %s", check.id, check.probe.kind, type(error).__name__, error)
            return Observation(NotMeasured(Prose(f"our own mistake: {type(error).__name__}")))

    async def _ask(self, check: Check, turn: int) -> Observation:
        kind = registry.get_kind(check.probe.kind)
        match kind.driver:
            case StreamDriver(ask):
                return await ask(check, StreamNet(check, turn=turn))
            case PacketDriver():
                return await find_driver(kind.name)(check, self._clock, self._keys, self._secret_rng)
            case EchoDriver():
                raise MisuseError(f"{kind.name} is sent in batches and has no function that asks it")

    async def _close_later(
        self, plan: Plan, interval: IntervalProbes, deliver: Callable[[Measured], None]
    ) -> None:
        ended_ns = interval.began_ns + interval.length_ns
        await self._sleep_until(ended_ns + grace_ns(plan.checks, interval_ns=plan.interval_ns))
        self._drain()
        self._ticker.check()
        answers = self._udp.count_dropped() + self._icmp.count_dropped() - self._answers_dropped
        requests = self._responder.count_dropped() - self._requests_dropped
        self._answers_dropped += answers
        self._requests_dropped += requests
        doubting = LossValidity(self._stalls, now_ns=self._clock.mono_ns(), dropped=answers)
        windows = self._in_flight.close(interval, doubt=doubting)
        if plan is self._plan:
            self._udp.forget_former_routes()
        self._in_flight.forget({check.id for check in (self._plan or plan).checks})
        deliver(
            Measured(
                start_ns=interval.start_ns,
                length_ns=interval.length_ns,
                windows=windows,
                heard=self._reflector.heard(
                    until_ns=interval.start_ns + interval.length_ns,
                    everything_ns=interval.start_ns + 3 * interval.length_ns,
                ),
                loop_lag_ns=self._stalls.worst_ns(since_ns=interval.began_ns, until_ns=self._clock.mono_ns()),
                packets_dropped=answers + requests,
            )
        )

    def _on_tick(self) -> None:
        """Answer gathered requests, and read responses."""
        self._responder.answer_gathered()
        if self._in_flight.waiting:
            self._drain()

    def _drain(self) -> None:
        self._udp.drain()
        self._icmp.drain()

    async def _sleep_until(self, mono_ns: int) -> None:
        wait_s = (mono_ns - self._clock.mono_ns()) / 1e9
        if wait_s > 0:
            await asyncio.sleep(wait_s)
