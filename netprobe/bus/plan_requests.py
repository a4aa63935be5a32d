"""Answers agents that ask for their plan, each a few times a minute.

Rule: a question is small and its answer may be large, and an agent need not read what it asked for: answers
that nothing reads pile up in the bus server's memory. So an agent that asks too often gets no answer. It then
waits for the next plan or asks again later (`bus.agent.PLAN_REFRESH_S`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from netprobe.bus.connection import Connection, Message
from netprobe.bus.subjects import EACH_PLAN_REQUEST, PLANS_BUCKET, agent_of, plan_subject, stream_of
from netprobe.errors import SystemRefusedError
from netprobe.tasks import BackgroundTasks

BURST = 8
"""Answers that one agent gets at once, as where its network comes and goes."""
EVERY_S = 5.0
"""One more each."""
_MOST_ASKERS = 10_000


class PlanRequests:
    """Answers from the bucket of plans, over one connection of the collector."""

    def __init__(self, connection: Connection, answering: BackgroundTasks) -> None:
        self._connection = connection
        self._answering = answering
        self._paid_s: dict[str, float] = {}
        """By subject, until when its questions have taken its time."""

    async def start(self) -> None:
        """Answer from now on."""
        await self._connection.subscribe(EACH_PLAN_REQUEST, self._take)

    async def _take(self, message: Message) -> None:
        if message.reply and self._allow(message.subject, asyncio.get_running_loop().time()):
            self._answering.start(self._answer(message), name=f"plan asked on {message.subject}")
        else:
            await asyncio.sleep(0)  # many of these must not delay anything else

    async def _answer(self, message: Message) -> None:
        subject = plan_subject(agent_of(message.subject))
        with suppress(SystemRefusedError):
            kept = await self._connection.request(
                f"$JS.API.DIRECT.GET.{stream_of(PLANS_BUCKET)}.{subject}", b""
            )
            await self._connection.publish(message.reply, kept.data)

    def _allow(self, subject: str, now_s: float) -> bool:
        if len(self._paid_s) > _MOST_ASKERS:
            self._paid_s = {each: paid_s for each, paid_s in self._paid_s.items() if paid_s > now_s}
        paid_s = max(self._paid_s.get(subject, now_s), now_s) + EVERY_S
        if paid_s > now_s + BURST * EVERY_S:
            return False
        self._paid_s[subject] = paid_s
        return True
