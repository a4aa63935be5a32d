"""One on-demand question from inside a namespace; as a program it asks and prints the reply."""

from __future__ import annotations

import asyncio
import secrets
import sys

import msgspec

from netprobe.engine.session import Engine
from netprobe.model.check import Check, Plan
from netprobe.wire.messages import Answer, decode_reply, encode_reply
from netprobe_agent.questions import Answering, parse_allowed
from tests.lab.agents import INTERVAL_NS, KEY
from tests.lab.namespaces import Host


def ask_once(host: Host, check: Check) -> Answer:
    """Let a fresh agent in *host* ask, with the fleet's key; the reply as it would cross the bus."""
    said = host.run(sys.executable, "-m", "tests.lab.asking", msgspec.json.encode(check).decode())
    reply = decode_reply(bytes.fromhex(said))
    assert isinstance(reply, Answer), reply
    return reply


async def _main(check: Check) -> None:
    from netprobe.wire.messages import Question  # noqa: PLC0415

    async with Engine(check.source, boot=secrets.token_hex(8), port=0) as engine:
        engine.use(Plan(check.source, 1, (), INTERVAL_NS, KEY))
        answering = Answering(check.source, engine.ask, lambda: 0, parse_allowed(["0.0.0.0/0", "::/0"]))
        print(encode_reply(await answering.answer(Question(check))).hex())


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Check)))
