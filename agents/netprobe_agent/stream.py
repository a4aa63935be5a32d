"""``netprobe-agent stream``: reads plans and questions from stdin, writes results and replies to stdout.

Rule: it needs only its two pipes and exits at the end of stdin, so that nothing is left behind when a pod
exec session is closed. ``wait`` keeps its pod running until a session starts.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from netprobe import __version__
from netprobe.bus.questions import answer_message
from netprobe.engine.engine import Engine
from netprobe.errors import NetprobeError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.window import Measured
from netprobe.tasks import BackgroundTasks
from netprobe.wire.messages import encode_reply
from netprobe.wire.stream import (
    FollowPlan,
    MeasuredLine,
    OutputLine,
    PlanTaken,
    QuestionLine,
    ReplyLine,
    decode_input_line,
    encode_output_line,
)
from netprobe_agent.questions import QuestionHandler

_MOST_LINE = 64 * 1024 * 1024


async def stream(agent: AgentId, *, port: int) -> None:
    """Run plans and answer questions until the end of stdin."""
    async with (
        Engine(agent, boot=secrets.token_hex(8), port=port) as engine,
        BackgroundTasks() as background,
    ):
        handler = QuestionHandler(agent, engine.ask, time.monotonic_ns)
        streaming = _StreamSession(engine, handler, background)
        running = background.start(engine.run(streaming.deliver), name="the engine")
        async for line in _lines():
            match decode_input_line(line):
                case FollowPlan(plan):
                    streaming.follow(plan)
                case QuestionLine(number, message):
                    streaming.put(number, message)
    if running.done() and not running.cancelled() and (error := running.exception()) is not None:
        raise NetprobeError(f"the engine ended: {error}") from error


@dataclass(slots=True)
class _StreamSession:
    """The state of one stream."""

    engine: Engine
    answering: QuestionHandler
    background: BackgroundTasks
    epoch: int = 0

    def deliver(self, measured: Measured) -> None:
        _write_line(MeasuredLine(self.epoch, measured))

    def follow(self, plan: Plan) -> None:
        self.engine.use(plan)
        self.answering.plan = plan
        self.epoch = plan.epoch
        unaskable = tuple(f"check {check}: {why}" for check, why in self.engine.unaskable.items())
        _write_line(PlanTaken(plan.epoch, self.engine.capabilities, __version__, unaskable))

    def put(self, number: int, message: bytes) -> None:
        """Answer in the background, so that the end of stdin is noticed meanwhile."""
        self.background.start(self._answer(number, message), name=f"question {number}")

    async def _answer(self, number: int, message: bytes) -> None:
        reply = await answer_message(self.engine.agent, self.answering.answer, message)
        _write_line(ReplyLine(number, encode_reply(reply)))


def wait(seconds: int) -> None:
    """Wait for a signal to exit, for at most *seconds*; the first process of a pod must wait explicitly."""
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    signal.sigtimedwait(ending, seconds)


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader(limit=_MOST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    while line := await reader.readline():
        yield line


def _write_line(line: OutputLine) -> None:
    sys.stdout.buffer.write(encode_output_line(line) + b"\n")
    sys.stdout.buffer.flush()
