"""Many hosts behind one bastion: what an sshd with default limits takes, and a connection that is cut off."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest

from netprobe.discovery.ssh.logins import LOGINS_AT_ONCE, log_in

BASTION = ("bastion", 22)
STARTUPS = 10
"""From here on OpenSSH drops by chance (``MaxStartups 10:30:100``)."""


class Bastion:
    """Counts who has not logged in yet."""

    def __init__(self) -> None:
        self.now = self.most = self.calls = 0

    async def enter(self) -> str:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return "in"


async def enter(bastion: Bastion, server: tuple[str, int] = BASTION, *, within_s: float = 5) -> str:
    async with asyncio.timeout(within_s) as limit:
        return await log_in(server, bastion.enter, limit=limit)


async def test_48_hosts_behind_one_bastion_never_reach_its_limit() -> None:
    bastion = Bastion()
    assert await asyncio.gather(*(enter(bastion) for _ in range(48))) == ["in"] * 48
    assert bastion.most == LOGINS_AT_ONCE < STARTUPS


async def test_two_bastions_do_not_wait_for_each_other() -> None:
    bastion = Bastion()
    await asyncio.gather(*(enter(bastion, (name, 22)) for name in "ab" for _ in range(LOGINS_AT_ONCE)))
    assert bastion.most == 2 * LOGINS_AT_ONCE


async def test_waiting_for_a_turn_takes_nothing_from_the_time_to_connect() -> None:
    bastion = Bastion()
    many = [enter(bastion, within_s=0.2) for _ in range(40 * LOGINS_AT_ONCE)]
    assert await asyncio.gather(*many) == ["in"] * len(many)


CUT_OFF = [asyncssh.ConnectionLost("Connection lost"), ConnectionResetError(104, "Connection reset by peer")]


@pytest.mark.parametrize("error", CUT_OFF, ids=lambda error: type(error).__name__)
async def test_a_connection_that_is_cut_off_is_tried_again(error: Exception) -> None:
    answers: list[Exception | str] = [error, error, "in"]

    async def enter() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with asyncio.timeout(5) as limit:
        assert await log_in(BASTION, enter, limit=limit) == "in"


@pytest.mark.parametrize(
    ("error", "calls"),
    [(CUT_OFF[0], 4), (asyncssh.PermissionDenied("no"), 1), (ConnectionRefusedError(111, "refused"), 1)],
    ids=["always-cut-off", "not-let-in", "refused"],
)
async def test_what_trying_again_does_not_cure_is_raised(error: Exception, calls: int) -> None:
    tried = 0

    async def enter() -> str:
        nonlocal tried
        tried += 1
        raise error

    with pytest.raises(type(error)):
        async with asyncio.timeout(5) as limit:
            await log_in(BASTION, enter, limit=limit)
    assert tried == calls
