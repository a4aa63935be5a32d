"""``netprobe-agent stream``: plans in on stdin, windows out on stdout; ``wait`` keeps its pod until it comes.

Rule: it needs nothing but its two pipes and ends when its stdin does, so that whoever asks over pod exec
leaves nothing behind by hanging up.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator

from netprobe import __version__
from netprobe.engine.session import Engine
from netprobe.errors import NetprobeError
from netprobe.model.names import AgentId
from netprobe.model.window import Measured
from netprobe.wire.stream import Said, Taken, Told, decode_plan_line, encode_said

_MOST_LINE = 64 * 1024 * 1024


async def stream(agent: AgentId, *, port: int) -> None:
    """Follow the plans that come, until no more can come."""
    epoch = 0

    def deliver(measured: Measured) -> None:
        _say(Told(epoch, measured))

    async with Engine(agent, boot=secrets.token_hex(8), port=port) as engine:
        running = asyncio.ensure_future(engine.run(deliver))
        try:
            async for line in _lines():
                plan = decode_plan_line(line)
                engine.use(plan)
                epoch = plan.epoch
                unaskable = tuple(f"check {check}: {why}" for check, why in engine.unaskable.items())
                _say(Taken(epoch, engine.capabilities, __version__, unaskable))
        finally:
            running.cancel()
            await asyncio.wait((running,), timeout=1.0)
    if running.done() and not running.cancelled() and (error := running.exception()) is not None:
        raise NetprobeError(f"the engine ended: {error}") from error


def wait(seconds: int) -> None:
    """Do nothing until somebody ends us, at most for a while; the first process of a pod hears it only so."""
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


def _say(said: Said) -> None:
    sys.stdout.buffer.write(encode_said(said) + b"\n")
    sys.stdout.buffer.flush()
