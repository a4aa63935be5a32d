"""On-demand questions: only to targets that the plan, its peers or the allow-list know, at a modest rate."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from netprobe.errors import InputError, NetprobeError
from netprobe.model.check import Check, Plan
from netprobe.model.names import AgentId
from netprobe.probes.observation import Observation
from netprobe.probes.ports import addresses_of
from netprobe.wire.messages import RATE_SPENT, CheckAnswer, CheckQuestion, Declined, OutcomeDetail, Reply

MAX_COUNT = 100
QUESTIONS_PER_MINUTE = 60
logger = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_allowed(texts: list[str]) -> tuple[Network, ...]:
    """CIDRs that may be asked beside what the plan names."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise InputError(str(error), where="--allow") from error
    return tuple(networks)


def is_allowed(address: str, plan: Plan | None, allowed: tuple[Network, ...]) -> bool:
    """Whether *address* belongs to the plan's targets, its peers or its askable networks, or is allowed."""
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


def _detail(seen: Observation) -> OutcomeDetail:
    return OutcomeDetail(seen.answered_by, seen.observed_source, seen.words, seen.phases_ns, seen.facts)


@dataclass(slots=True)
class QuestionHandler:
    """Answers questions from the bus, and leaves a line in the log for each."""

    agent: AgentId
    ask: Callable[[Check], Awaitable[tuple[Observation, ...]]]
    now_ns: Callable[[], int]
    allowed: tuple[Network, ...] = ()
    plan: Plan | None = None
    _recent_ns: list[int] = field(default_factory=list)

    async def answer(self, question: CheckQuestion) -> Reply:
        """The outcomes, or why the question was declined."""
        reply = await self._answer(question)
        asked = question.check
        verdict = f"declined: {reply.reason}" if isinstance(reply, Declined) else "asked"
        logger.info(
            "question by %r: %s to %s: %s", question.asked_by, asked.probe.kind, asked.target.address, verdict
        )
        return reply

    async def _answer(self, question: CheckQuestion) -> Reply:
        check = question.check
        for address in addresses_of(check):
            if not is_allowed(address, self.plan, self.allowed):
                return Declined(self.agent, f"{address} is neither in the plan nor on the allow-list")
        if check.count > MAX_COUNT:
            return Declined(self.agent, f"{check.count} probes are too many; at most {MAX_COUNT} are asked")
        if not self._is_within_rate():
            return Declined(self.agent, f"more than {QUESTIONS_PER_MINUTE} {RATE_SPENT}")
        try:
            seen = await self.ask(check)
        except NetprobeError as error:
            return Declined(self.agent, str(error))
        return CheckAnswer(
            self.agent, check.id, tuple(one.outcome for one in seen), tuple(_detail(one) for one in seen)
        )

    def _is_within_rate(self) -> bool:
        now_ns = self.now_ns()
        self._recent_ns = [at for at in self._recent_ns if now_ns - at < 60_000_000_000]
        if len(self._recent_ns) >= QUESTIONS_PER_MINUTE:
            return False
        self._recent_ns.append(now_ns)
        return True
