"""Agents asked through their own two pipes: each follows one plan, and carries questions and replies.

Rule: an agent that does not come up, ends or says what cannot be read costs only what it was asked.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

from netprobe.errors import NetprobeError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.tasks import BackgroundTasks
from netprobe.wire.stream import (
    FollowPlan,
    InputLine,
    MeasuredLine,
    PlanTaken,
    QuestionLine,
    ReplyLine,
    decode_output_line,
    encode_input_line,
)


class AgentProgram(Protocol):
    """A program that runs: ``netprobe-agent stream``."""

    async def send(self, line: bytes) -> None:
        """Write one line to it; :class:`NetprobeError` where it hears no more."""

    def lines(self) -> AsyncGenerator[bytes, None]:
        """What it writes; :class:`NetprobeError` where it ends with an error."""


_ENDED = "the agent ended"
TalkTo = Callable[[AgentId], AbstractAsyncContextManager[AgentProgram]]


class AgentStreams:
    """Agents by name (``bus.questions.QuestionTransport``)."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._pipes: Mapping[AgentId, _AgentStream] = {plan.agent: _AgentStream(plan) for plan in plans}

    @property
    def taken(self) -> dict[AgentId, PlanTaken]:
        """What those said that follow their plans."""
        return {agent: pipe.taken for agent, pipe in self._pipes.items() if pipe.taken}

    @property
    def silent(self) -> dict[AgentId, str]:
        """Those that do not, and why."""
        return {agent: pipe.why for agent, pipe in self._pipes.items() if not pipe.taken}

    async def request(self, source: AgentId, question: bytes, *, timeout_s: float) -> bytes:
        """The reply's bytes; :class:`SystemRefusedError` where there is none within *timeout_s*."""
        pipe = self._pipes.get(source)
        if pipe is None:
            raise SystemRefusedError(f"no agent runs as {source}")
        return await pipe.put(question, timeout_s=timeout_s)

    def items(self) -> Iterable[tuple[AgentId, _AgentStream]]:
        """Each agent and its stream."""
        return self._pipes.items()


class _AgentStream:
    """One agent: who waits for its replies, and why there are none any more."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.taken: PlanTaken | None = None
        self.why = "the agent said nothing in time"
        self.settled = asyncio.Event()
        """It follows its plan, or never will."""
        self._talk: AgentProgram | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    async def keep(self, talk_to: TalkTo) -> None:
        """Talk until the agent ends, or this is cancelled."""
        try:
            async with talk_to(self.plan.agent) as talk:
                await talk.send(encode_input_line(FollowPlan(self.plan)))
                self._talk = talk
                async for line in talk.lines():
                    self._hear(line)
            self.why = _ENDED
        except NetprobeError as error:
            self.why = str(error)
        finally:
            self._talk = None
            self.settled.set()
            for waiting in self._waiting.values():
                waiting.cancel()

    def _hear(self, line: bytes) -> None:
        match decode_output_line(line):
            case PlanTaken() as taken:
                self.taken, self.why = taken, _ENDED
                self.settled.set()
            case ReplyLine(number, message):
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case MeasuredLine():
                pass  # its plan has no checks, so its windows are not needed

    async def put(self, question: bytes, *, timeout_s: float) -> bytes:
        number = next(self._numbers)
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(QuestionLine(number, question))
            done, _ = await asyncio.wait((reply,), timeout=timeout_s)
        finally:
            del self._waiting[number]
        if not done:
            raise SystemRefusedError(f"no reply within {timeout_s:g} s")
        if reply.cancelled():
            raise SystemRefusedError(self.why)
        message: bytes = reply.result()
        return message

    async def _send(self, heard: InputLine) -> None:
        if self._talk is None:
            raise SystemRefusedError(self.why)
        await self._talk.send(encode_input_line(heard))


@asynccontextmanager
async def open_pipes(
    plans: Iterable[Plan], talk_to: TalkTo, *, patience_s: float
) -> AsyncIterator[AgentStreams]:
    """Agents that follow *plans* for the time of the block; it begins when all do, or *patience_s* later."""
    pipes = AgentStreams(plans)
    async with BackgroundTasks() as background:
        for agent, pipe in pipes.items():
            background.start(pipe.keep(talk_to), name=f"{agent}: its stream")
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await asyncio.gather(*(pipe.settled.wait() for _, pipe in pipes.items()))
        yield pipes
