"""Agents that show a token, on a real server that asks about them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.callout import Caller, issuer_key, new_issuer
from netprobe.bus.collector import CollectorBus, open_collector_bus
from netprobe.bus.connection import CONNECT_TIMEOUT_S, open_connection
from netprobe.bus.fair_queue import FairQueue
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin, TokenLogin
from netprobe.bus.server import Callout, run_server
from netprobe.bus.subjects import plan_subject, windows_subject
from netprobe.bus.tokens import Bearer, PodRef, RefusalReason, TokenRefusal
from netprobe.errors import BusAwayError, InputError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.wire.messages import Presence
from tests.unit.nats_server import DEV, LOCAL, PROD, needs_nats_server, until
from tests.unit.wire.test_messages import CHECK
from tests.unit.wire.test_reports import REPORT

TOKEN = "head.body.signature"


@dataclass(slots=True)
class Door:
    """A server with a collector behind it that lets *PROD* in."""

    url: str
    collector: CollectorBus
    file: Path
    dev_seed: str
    asked: list[Caller] = field(default_factory=list)
    lifetime_s: float = 600.0
    refuse: bool = False
    delay_s: float = 0.0

    async def judge(self, caller: Caller) -> Bearer | TokenRefusal:
        self.asked.append(caller)
        await asyncio.sleep(self.delay_s)
        if self.refuse or caller.token != TOKEN:
            return TokenRefusal(RefusalReason.EXPIRED, "it expired")
        assert caller.agent is not None
        return Bearer(
            caller.agent, PodRef("netprobe", "p", "u"), time.time_ns() + round(self.lifetime_s * 1e9)
        )

    def login(self, agent: AgentId = PROD) -> TokenLogin:
        return TokenLogin(agent, self.file)


@asynccontextmanager
async def door(directory: Path) -> AsyncIterator[Door]:
    own, dev, issuer = new_user(), new_user(), new_issuer()
    file = directory / "token"
    file.write_text(TOKEN + "\n")
    entries = accounts({DEV: dev[1]}, (), own[1])
    callout = Callout(issuer_key(issuer))
    async with (
        run_server(LOCAL, directory=directory / "nats", accounts=entries, callout=callout) as server,
        open_collector_bus(server.url, login=SeedLogin(own[0])) as collector,
    ):
        made = Door(server.url, collector, file, dev[0])
        await collector.answer_callouts(issuer_seed=issuer, judge=made.judge)
        yield made


@needs_nats_server
async def test_an_agent_with_a_token_does_what_an_agent_does(tmp_path: Path) -> None:
    async with (
        door(tmp_path) as here,
        await AgentBus.connect(here.url, agent=PROD, login=here.login()) as agent,
    ):
        await until(lambda: agent.is_connected)
        assert [(caller.agent, caller.token, caller.host) for caller in here.asked] == [
            (PROD, TOKEN, "127.0.0.1")
        ]
        plan = Plan(PROD, 1, (CHECK,), 10**9, b"key")
        await here.collector.put_plans([plan])
        assert await anext(agent.plans()) == plan
        await agent.publish(REPORT)
        assert [delivery.subject for delivery in await here.collector.take()] == [windows_subject(PROD)]
        await agent.announce(Presence(PROD, "b", 1, addresses=("10.1.0.5",)))
        assert [found.addresses for found in await here.collector.find_present()] == [("10.1.0.5",)]


@needs_nats_server
async def test_its_rights_are_its_own_only(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        connection = await open_connection(here.url, login=here.login(), name=str(PROD))
        for subject in (windows_subject(DEV), "$SYS.REQ.USER.AUTH", "np1.query.snapshot"):
            with pytest.raises(SystemRefusedError, match="does not let us publish"):
                await connection.request(subject, b"")
        heard: list[object] = []

        async def hear(message: object) -> None:
            heard.append(message)

        for subject in (plan_subject(DEV), "$SYS.REQ.USER.AUTH", "np1.inbox.>", ">"):
            await connection.subscribe(subject, hear)
        await here.collector.put_plans([Plan(DEV, 1, (), 10**9, b"key")])
        await connection.flush()
        assert heard == []
        await connection.close()


@needs_nats_server
async def test_who_has_an_nkey_is_not_asked_about(tmp_path: Path) -> None:
    async with (
        door(tmp_path) as here,
        await AgentBus.connect(here.url, agent=DEV, login=SeedLogin(here.dev_seed)) as agent,
    ):
        await until(lambda: agent.is_connected)
        assert here.asked == []


@needs_nats_server
async def test_who_is_refused_hears_one_clear_line(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        here.refuse = True
        with pytest.raises(
            SystemRefusedError, match=r"does not know our token \(the collector's log says why\)"
        ):
            await open_connection(here.url, login=here.login(), name=str(PROD))
        with pytest.raises(SystemRefusedError, match="does not know our key"):
            await open_connection(here.url, login=SeedLogin(new_user()[0]), name=str(PROD))
        assert [caller.token for caller in here.asked] == [TOKEN, ""]  # a stranger's key shows no token


SLOW_S = 3.0
"""Longer than a server waits before it sends its first PING."""


@needs_nats_server
async def test_a_slow_refusal_is_a_refusal(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        here.refuse, here.delay_s = True, SLOW_S
        with pytest.raises(SystemRefusedError, match="does not know our token"):
            await open_connection(here.url, login=here.login(), name=str(PROD))


@needs_nats_server
async def test_who_is_accepted_slowly_can_publish(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        here.delay_s = SLOW_S
        connection = await open_connection(here.url, login=here.login(), name=str(PROD))
        await connection.publish(windows_subject(PROD), b"")  # and no flush
        assert [delivery.subject for delivery in await here.collector.take()] == [windows_subject(PROD)]
        await connection.close()


@needs_nats_server
async def test_a_server_that_goes_while_we_wait_for_its_answer_ends_the_wait(tmp_path: Path) -> None:
    async with asyncio.timeout(30), door(tmp_path) as here:
        here.delay_s = 2 * CONNECT_TIMEOUT_S
        opening = asyncio.create_task(open_connection(here.url, login=here.login(), name=str(PROD)))
        await asyncio.sleep(SLOW_S)
        assert not opening.done()
    with pytest.raises(BusAwayError):
        await opening


@needs_nats_server
async def test_a_connection_ends_with_its_token_and_comes_back_with_the_next(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        here.lifetime_s = 2.0
        async with await AgentBus.connect(here.url, agent=PROD, login=here.login()) as agent:
            await until(lambda: agent.is_connected)
            here.lifetime_s = 600.0
            await until(lambda: len(here.asked) == 2)
            await until(lambda: agent.is_connected)


@pytest.mark.parametrize("content", [b"", b"no token", b"a.b\xff.c", b"a.b." + b"c" * 7_000])
def test_a_file_that_holds_no_token_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SystemRefusedError) as told:
        TokenLogin(PROD, file).read()
    assert str(told.value).startswith(str(file))
    assert len(str(told.value)) < len(str(file)) + 60


def test_an_issuer_that_is_none_is_an_input_error() -> None:
    for text in ("", "SA", new_user()[0]):
        with pytest.raises(InputError):
            issuer_key(text)


async def test_callers_wait_in_a_bounded_queue_and_each_address_fills_only_its_part() -> None:
    waiting: FairQueue[int] = FairQueue(most=5, most_per_key=3)
    took = [waiting.put("a", number) for number in range(4)]
    assert took == [True, True, True, False]
    assert [waiting.put("b", number) for number in (10, 11, 12)] == [True, True, False]
    assert [await waiting.get() for _ in range(5)] == [0, 10, 1, 11, 2]
    assert waiting.put("a", 3)
