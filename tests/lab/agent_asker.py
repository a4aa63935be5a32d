"""On-demand questions from inside a namespace; as a program it answers those of one line at once.

The program lives as long as its scene: to start a Python that can ask costs more than most questions. Each
question gets an engine of its own, so none learns from another.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

import msgspec

from netprobe.engine.engine import Engine
from netprobe.model.check import Check, Plan
from netprobe.wire.messages import CheckAnswer, decode_reply, encode_reply
from netprobe_agent.questions import QuestionHandler, parse_allowed
from tests.lab.agents import INTERVAL_NS, KEY
from tests.lab.namespaces import Host


class Asker:
    """An agent in *host* that asks what it is told to, with the fleet's key; gone at the end of the block.

    *within* is a command that it runs under.
    """

    def __init__(self, host: Host, *, within: tuple[str, ...] = ()) -> None:
        program = (*within, sys.executable, "-m", "tests.lab.agent_asker")
        self._process = host.popen(*program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Asker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, check: Check) -> CheckAnswer:
        """The reply as it would cross the bus."""
        return self.ask_all([check])[0]

    def ask_all(self, checks: Sequence[Check]) -> list[CheckAnswer]:
        """Ask all at once; the replies in the same order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(list(checks)).decode() + "\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline().split()
        assert len(told) == len(checks), "the asking agent broke down"
        replies = [decode_reply(bytes.fromhex(one)) for one in told]
        answers = [reply for reply in replies if isinstance(reply, CheckAnswer)]
        assert len(answers) == len(replies), replies
        return answers


async def _answer(check: Check) -> str:
    from netprobe.wire.messages import CheckQuestion  # noqa: PLC0415

    async with Engine(check.source, boot=secrets.token_hex(8), port=0) as engine:
        engine.use(Plan(check.source, 1, (), INTERVAL_NS, KEY))
        answering = QuestionHandler(check.source, engine.ask, lambda: 0, parse_allowed(["0.0.0.0/0", "::/0"]))
        return encode_reply(await answering.answer(CheckQuestion(check))).hex()


async def _answer_all(checks: list[Check]) -> str:
    return " ".join(await asyncio.gather(*map(_answer, checks)))


if __name__ == "__main__":
    for line in sys.stdin:
        print(asyncio.run(_answer_all(msgspec.json.decode(line, type=list[Check]))), flush=True)
