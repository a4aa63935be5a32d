"""Both ends of an on-demand question, over any transport: the bus, or an agent's stdin and stdout.

Rule: a question that fails affects no other. Whatever the cause, the asker gets :class:`Declined` with the
reason, within the question's own time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from netprobe.errors import NetprobeError
from netprobe.model.check import Check
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.recorded_packets import PacketRecording
from netprobe.wire.messages import (
    CheckAnswer,
    CheckQuestion,
    Declined,
    Refusal,
    Reply,
    decode_question,
    decode_reply,
    encode_question,
)

LONGEST_ANSWER_S = 7_200
"""What one question may take with all its probes: two quiet gaps of the longest kind (``idle``)."""
ANSWER_MARGIN_S = 5.0
"""What an answer may take beyond the time of the question's own probes."""
_RETRY_WITHIN_S = 10.0
"""How long a reply may take beyond the question's own time."""
_RATE_PAUSE_S = 5.0
_RATE_PAUSES = 13
"""An agent whose rate is spent is asked again, for a little longer than its minute."""

Answerer = Callable[[CheckQuestion], Awaitable[Reply]]


class QuestionTransport(Protocol):
    """Sends a question's message to an agent and returns the reply's."""

    async def request(self, source: AgentId, question: bytes, *, timeout_s: float) -> bytes:
        """The reply's bytes; :class:`NetprobeError` if there is none within *timeout_s*."""


@dataclass(frozen=True, slots=True)
class TransportAsker:
    """Asks agents over a transport (``wire.asker.Asker``)."""

    transport: QuestionTransport
    asked_by: str
    pause_s: float = _RATE_PAUSE_S
    record: Callable[[AgentId, PacketRecording | None], None] | None = None
    """Takes the packets of each answer; None: agents record none."""

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        """One reply per check, in order, one after another: the agent has others to answer, too."""
        return tuple([await self._ask_patiently(source, check) for check in checks])

    async def _ask_patiently(self, source: AgentId, check: Check) -> Reply:
        for _ in range(_RATE_PAUSES):
            reply = await self._ask(source, check)
            if not (isinstance(reply, Declined) and reply.is_for_now):
                return reply
            await asyncio.sleep(self.pause_s)
        return reply

    async def _ask(self, source: AgentId, check: Check) -> Reply:
        question = encode_question(CheckQuestion(check, self.asked_by, self.record is not None))
        patience_s = check.probe.timeout_ns / 1e9 * check.count + _RETRY_WITHIN_S
        try:
            reply = decode_reply(await self.transport.request(source, question, timeout_s=patience_s))
        except NetprobeError as error:
            return _decline(source, Refusal.NOT_REACHED, str(error))
        if self.record is not None and isinstance(reply, CheckAnswer):
            self.record(source, reply.recording)
        return reply


async def answer_message(agent: AgentId, answerer: Answerer | None, data: bytes) -> Reply:
    """The reply of *agent* to a question's message; malformed or misaddressed ones are declined."""
    try:
        question = decode_question(data)
        check = question.check
        if answerer is None:
            return _decline(agent, Refusal.NO_ANSWERER, "the agent answers no questions")
        if check.source != agent:
            return _decline(agent, Refusal.NOT_ASKABLE, f"the question is for {check.source}")
        asked_s = check.probe.timeout_ns / 1e9 * check.count
        if asked_s > LONGEST_ANSWER_S:
            why = f"{asked_s:g} s are too long; at most {LONGEST_ANSWER_S:g} s"
            return _decline(agent, Refusal.TOO_MUCH, why)
        async with asyncio.timeout(asked_s + ANSWER_MARGIN_S):
            return await answerer(question)
    except TimeoutError:
        why = f"no outcome within {asked_s + ANSWER_MARGIN_S:g} s"
        return _decline(agent, Refusal.OUT_OF_TIME, why)
    except NetprobeError as error:
        return _decline(agent, Refusal.NOT_ASKABLE, str(error))


def _decline(agent: AgentId, refusal: Refusal, why: str) -> Declined:
    return Declined(agent, Prose(why), refusal)
