"""An agent's responder for the far end: ``python -m benchmarks.reflector PORT KEY NAME``.

Prints a line when ready and ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import sys
import time

from netprobe.engine.clock import Clock
from netprobe.engine.keyring import Keyring
from netprobe.engine.responder.identity_http import IdentityServer
from netprobe.engine.responder.reflector import Reflector
from netprobe.engine.responder.server import Responder
from netprobe.engine.schedule import TICK_NS
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.wire.identity import Identity


async def reflect(port: int, key: bytes, name: str) -> None:
    """Answer until standard input ends."""
    agent = AgentId.parse(name)
    keys = Keyring(agent)
    keys.use(Plan(agent, 1, (), 1_000_000_000, key))
    reflector = Reflector(name, nonce=keys.nonce, started_s=0)
    responder = Responder(IdentityServer(Identity(name), keys), keys, Clock(), port, reflector)
    await responder.open()
    try:
        print("ready", flush=True)
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not ended.done():
            await asyncio.wait((ended,), timeout=TICK_NS / 1e9)
            responder.answer_gathered()
            # As an engine does at the end of each interval, or what was heard would pile up.
            now_ns = time.time_ns()
            responder.reflector.heard(until_ns=now_ns - 2_000_000_000, everything_ns=now_ns)
    finally:
        await responder.close()


if __name__ == "__main__":
    asyncio.run(reflect(int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]))
