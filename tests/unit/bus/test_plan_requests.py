"""Plans are answered, and an agent that asks without end gets few answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from netprobe.bus.collector import open_collector_bus
from netprobe.bus.connection import Message, open_connection
from netprobe.bus.login import SeedLogin
from netprobe.bus.plan_requests import BURST
from netprobe.bus.subjects import plan_get_subject
from netprobe.model.check import Plan
from netprobe.wire.messages import decode_plan
from tests.unit.nats_server import DEV, PROD, needs_nats_server, town
from tests.unit.wire.test_messages import CHECK

pytestmark = needs_nats_server

PLAN = Plan(PROD, 1, (CHECK,), 10**9, b"key")


async def test_an_agent_that_asks_without_end_gets_few_answers_and_another_gets_its_own(
    tmp_path: Path,
) -> None:
    async with (
        town(tmp_path) as here,
        open_collector_bus(here.url, login=SeedLogin(here.collector)) as collector,
    ):
        await collector.put_plans([PLAN, replace(PLAN, agent=DEV, checks=())])
        login = SeedLogin(here.seeds[DEV])
        greedy = await open_connection(here.url, login=login, name="greedy")
        answers: asyncio.Queue[Message] = asyncio.Queue()
        await greedy.subscribe(f"{login.inbox}.all", answers.put)
        for _ in range(20 * BURST):
            await greedy.publish(plan_get_subject(DEV), b"", reply=f"{login.inbox}.all")
        modest = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="modest")
        asked = [await modest.request(plan_get_subject(PROD), b"") for _ in range(BURST)]
        assert {decode_plan(answer.data).agent for answer in asked} == {PROD}
        assert decode_plan((await answers.get()).data).agent == DEV
        assert answers.qsize() < BURST
        await greedy.close()
        await modest.close()


async def test_an_agent_without_a_plan_hears_so_at_once(tmp_path: Path) -> None:
    async with town(tmp_path) as here, open_collector_bus(here.url, login=SeedLogin(here.collector)):
        agent = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="new")
        assert (await agent.request(plan_get_subject(PROD), b"")).data == b""
        await agent.close()
