"""On-demand checks: validation of targets and rate. Targets must be in the plan or on the allow-list."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from netprobe.errors import InputError, NetprobeError
from netprobe.model.check import Check, Plan
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.recorded_packets import PacketRecording
from netprobe.probes.observation import Observation
from netprobe.probes.ports import addresses_of
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Declined, OutcomeDetail, Refusal, Reply

MAX_COUNT = 100
QUESTIONS_PER_MINUTE = 60
logger = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_allowed(texts: list[str]) -> tuple[Network, ...]:
    """Parse the CIDRs that may be asked in addition to the plan's targets."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise InputError(str(error), where="--allow") from error
    return tuple(networks)


def parse_protocols(text: str) -> frozenset[str] | None:
    """The protocols of ``--packets``, with commas; None for ``all``, and an empty set for ``none``."""
    from netprobe.probes.packets import PROTOCOLS  # noqa: PLC0415 - loaded only where the option is given

    if text in {"all", "none"}:
        return None if text == "all" else frozenset()
    named = frozenset(text.split(","))
    if unknown := sorted(named - set(PROTOCOLS.values())):
        known = ", ".join(PROTOCOLS.values())
        raise InputError(f"{unknown[0]!r} is not all, none or one of {known}", where="--packets")
    return named


def is_allowed(address: str, plan: Plan | None, allowed: tuple[Network, ...]) -> bool:
    """Whether *address* is a target, a peer or in an askable network of the plan, or in *allowed*."""
    askable: tuple[str, ...] = ()
    if plan is not None:
        known = {check.target.address for check in plan.checks}
        known |= {text for _, addresses in plan.peers for text in addresses}
        if address in known:
            return True
        askable = plan.askable
    try:
        parsed = ipaddress.ip_address(address)
        networks = (*allowed, *(ipaddress.ip_network(text) for text in askable))
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _detail(observation: Observation) -> OutcomeDetail:
    return OutcomeDetail(
        observation.answered_by,
        observation.observed_source,
        observation.words,
        observation.phases_ns,
        observation.facts,
        observation.values,
    )


@dataclass(slots=True)
class QuestionHandler:
    """Answers questions from the bus, and logs each."""

    agent: AgentId
    ask: Callable[[Check], Awaitable[tuple[Observation, ...]]]
    now_ns: Callable[[], int]
    allowed: tuple[Network, ...] = ()
    plan: Plan | None = None
    protocols: frozenset[str] | None = None
    """Of which packets that an asker built may be sent; None for all."""
    _recent_ns: list[int] = field(default_factory=list)

    async def answer(self, question: CheckQuestion) -> Reply:
        """The outcomes, or the reason why the question was declined."""
        reply = await self._answer(question)
        check = question.check
        verdict = f"declined: {reply.reason}" if isinstance(reply, Declined) else "asked"
        logger.info(
            "question by %r: %s to %s: %s", question.asked_by, check.probe.kind, check.target.address, verdict
        )
        return reply

    async def _answer(self, question: CheckQuestion) -> Reply:
        check = question.check
        for address in addresses_of(check):
            if not is_allowed(address, self.plan, self.allowed):
                why = f"{address} is neither in the plan nor on the allow-list"
                return self._decline(Refusal.NOT_ALLOWED, why)
        if check.count > MAX_COUNT:
            why = f"{check.count} probes are too many; at most {MAX_COUNT} are asked"
            return self._decline(Refusal.TOO_MUCH, why)
        if not self._is_within_rate():
            why = f"more than {QUESTIONS_PER_MINUTE} questions within a minute"
            return self._decline(Refusal.RATE_SPENT, why)
        try:
            if check.probe.kind == "packets" and (why := self._find_objection(check)):
                return self._decline(Refusal.NOT_ALLOWED, why)
            observations, recording = await self._ask(question)
        except NetprobeError as error:
            return self._decline(Refusal.NOT_ASKABLE, str(error))
        return CheckAnswer(
            self.agent,
            check.id,
            tuple(observation.outcome for observation in observations),
            tuple(_detail(observation) for observation in observations),
            recording,
        )

    async def _ask(self, question: CheckQuestion) -> tuple[tuple[Observation, ...], PacketRecording | None]:
        if not question.is_recorded:
            return await self.ask(question.check), None
        if self.protocols is not None and not self.protocols:
            refused = PacketRecording(
                refused=Prose("this agent neither sends nor records packets (--packets none)")
            )
            return await self.ask(question.check), refused
        from netprobe.engine.packet_recorder import PacketRecorder  # noqa: PLC0415 - memory on every node

        with PacketRecorder(addresses_of(question.check)) as recorder:
            observations = await self.ask(question.check)
        return observations, recorder.recording

    def _find_objection(self, check: Check) -> str:
        """Why packets that the asker built are not sent; empty where they are. Either is logged."""
        from netprobe.probes.packets import find_protocol, payloads_of  # noqa: PLC0415 - memory on every node

        protocol, packets = find_protocol(check.probe), payloads_of(check.probe)
        logger.info("%d packets of %s, %d bytes, to %s", len(packets), protocol, sum(map(len, packets)),
                    check.target.address)  # fmt: skip
        if self.protocols is None or protocol in self.protocols:
            return ""
        return f"this agent sends no packets of {protocol} for others (--packets)"

    def _decline(self, refusal: Refusal, why: str) -> Declined:
        return Declined(self.agent, Prose(why), refusal)

    def _is_within_rate(self) -> bool:
        now_ns = self.now_ns()
        self._recent_ns = [at for at in self._recent_ns if now_ns - at < 60_000_000_000]
        if len(self._recent_ns) >= QUESTIONS_PER_MINUTE:
            return False
        self._recent_ns.append(now_ns)
        return True
