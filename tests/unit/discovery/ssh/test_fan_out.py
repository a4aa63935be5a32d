"""Many hosts at once: a limit, and no host waits for another."""

from __future__ import annotations

import asyncio

import looptime  # noqa: F401 - virtual time
import pytest

from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.discovery.ssh.fan_out import ask_many


@pytest.mark.looptime
async def test_one_that_hangs_and_one_that_fails_cost_the_others_nothing() -> None:
    seen: list[str] = []

    async def ask(what: float | Exception) -> str:
        if isinstance(what, Exception):
            raise what
        await asyncio.sleep(what)
        return f"after {what:g}"

    odd, away = HostOutputError("odd"), SshError("away")
    hosts: dict[str, float | Exception] = {"hung": 1e9, "odd": odd, "quick": 1.0, "away": away}
    told = await ask_many(hosts, ask, timeout_s=5, done=seen.append)
    assert list(told) == ["hung", "odd", "quick", "away"]
    assert [str(what) for what in told.values()] == ["hung: not done within 5 s", "odd", "after 1", "away"]
    assert seen[-1] == "hung"


@pytest.mark.looptime
async def test_no_more_than_the_limit_are_asked_at_once() -> None:
    at_once = 0
    most = 0

    async def ask(number: int) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(1)
        at_once -= 1
        return number

    told = await ask_many({n: n for n in range(20)}, ask, timeout_s=2, at_once=7)
    assert told == {n: n for n in range(20)}
    assert most == 7


@pytest.mark.looptime
async def test_cancelling_cancels_every_question() -> None:
    ended: list[int] = []

    async def ask(number: int) -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append(number)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await ask_many({n: n for n in range(5)}, ask, timeout_s=1e6)
    assert sorted(ended) == [0, 1, 2, 3, 4]
