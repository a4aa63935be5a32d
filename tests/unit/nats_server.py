"""What tests need to speak over a real ``nats-server`` on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.keys import new_user
from netprobe.bus.operator import Access
from netprobe.bus.server import Listen, find_program, run_server
from netprobe.errors import SystemRefusedError
from netprobe.model.names import AgentId

PATIENCE_S = 120.0
"""On a machine that is busy with other things, starting a process takes its time."""
LOCAL = Listen("127.0.0.1", 0)
PROD = AgentId.parse("prod/w1/pod")
DEV = AgentId.parse("dev/w.1/host")


def _missing() -> str:
    try:
        find_program()
    except SystemRefusedError as error:
        return str(error)
    return ""


needs_nats_server = pytest.mark.skipif(bool(_missing()), reason=_missing() or "there")


@dataclass(frozen=True, slots=True)
class Town:
    """A running server and the seeds of those it knows."""

    url: str
    seeds: dict[AgentId, str]
    operator: str
    collector: str
    pid: int

    @property
    def access(self) -> Access:
        """As the operator."""
        return Access(self.url, self.operator)


@asynccontextmanager
async def town(directory: Path, *, listen: Listen = LOCAL) -> AsyncIterator[Town]:
    """A server that knows two agents, an operator and a collector."""
    prod, dev, operator, collector = (new_user() for _ in range(4))
    entries = accounts({PROD: prod[1], DEV: dev[1]}, (operator[1],), collector[1])
    async with run_server(listen, directory=directory, accounts=entries) as server:
        yield Town(server.url, {PROD: prod[0], DEV: dev[0]}, operator[0], collector[0], server.pid)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for *holds*; fail when it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
