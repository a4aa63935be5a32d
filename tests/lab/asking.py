"""On-demand questions from inside a namespace; as a program it answers one question a line.

The program lives as long as its scene: to start a Python that can ask costs more than most questions. Each
question gets an engine of its own, so none learns from another.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from types import TracebackType

import msgspec

from netprobe.engine.session import Engine
from netprobe.model.check import Check, Plan
from netprobe.wire.messages import Answer, decode_reply, encode_reply
from netprobe_agent.questions import Answering, parse_allowed
from tests.lab.agents import INTERVAL_NS, KEY
from tests.lab.namespaces import Host


class Asker:
    """An agent in *host* that asks what it is told to, with the fleet's key; gone at the end of the block."""

    def __init__(self, host: Host) -> None:
        self._process = host.popen(
            sys.executable, "-m", "tests.lab.asking", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Asker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, check: Check) -> Answer:
        """The reply as it would cross the bus."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(check).decode() + "\n")
        self._process.stdin.flush()
        reply = decode_reply(bytes.fromhex(self._process.stdout.readline()))
        assert isinstance(reply, Answer), reply
        return reply


async def _answer(check: Check) -> str:
    from netprobe.wire.messages import Question  # noqa: PLC0415

    async with Engine(check.source, boot=secrets.token_hex(8), port=0) as engine:
        engine.use(Plan(check.source, 1, (), INTERVAL_NS, KEY))
        answering = Answering(check.source, engine.ask, lambda: 0, parse_allowed(["0.0.0.0/0", "::/0"]))
        return encode_reply(await answering.answer(Question(check))).hex()


if __name__ == "__main__":
    for line in sys.stdin:
        print(asyncio.run(_answer(msgspec.json.decode(line, type=Check))), flush=True)
