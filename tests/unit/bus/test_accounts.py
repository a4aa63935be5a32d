"""The accounts of the server: what passes between them, what a reload and an upgrade leave as it was."""

from __future__ import annotations

import json
from pathlib import Path

from netprobe.bus.accounts import AGENT_PAYLOAD_BYTES, AGENT_SUBSCRIPTIONS, COLLECTOR_ACCOUNT, accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.connection import Message, open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin
from netprobe.bus.server import run_server
from netprobe.bus.subjects import windows_subject
from netprobe.model.check import Plan
from netprobe.wire.reports import MAX_REPORT_BYTES, encode_report
from tests.unit.nats_server import DEV, LOCAL, PROD, needs_nats_server, town, until
from tests.unit.wire.test_messages import CHECK
from tests.unit.wire.test_reports import REPORT

pytestmark = needs_nats_server
_BUCKET = {
    "discard": "new", "max_msgs_per_subject": 1, "duplicate_window": 30_000_000_000, "allow_direct": True,
    "allow_rollup_hdrs": True, "deny_delete": True, "num_replicas": 1,
}  # fmt: skip
EARLIER_STREAMS: tuple[dict[str, object], ...] = (
    {
        "name": "np1_windows", "subjects": ["np1.windows.>"], "retention": "workqueue", "storage": "file",
        "discard": "new", "max_bytes": 4 * 1024**3, "duplicate_window": 600_000_000_000, "num_replicas": 1,
    },
    {"name": "KV_np1_plans", "subjects": ["$KV.np1_plans.>"], "storage": "file", **_BUCKET},
    {
        "name": "KV_np1_agents", "subjects": ["$KV.np1_agents.>"], "storage": "memory",
        "max_age": 30_000_000_000, **_BUCKET,
    },
)  # fmt: skip
"""As the build before accounts made them."""
PLAN = Plan(PROD, 1, (CHECK,), 10**9, b"key")


async def test_an_agent_goes_on_when_another_is_let_in(tmp_path: Path) -> None:
    own, prod, dev = new_user(), new_user(), new_user()
    known = accounts({PROD: prod[1]}, (), own[1])
    async with (
        run_server(LOCAL, directory=tmp_path, accounts=known) as server,
        open_collector_bus(server.url, login=SeedLogin(own[0])) as collector,
        await AgentBus.connect(server.url, agent=PROD, login=SeedLogin(prod[0])) as agent,
    ):
        await until(lambda: agent.is_connected)
        server.admit(accounts({PROD: prod[1], DEV: dev[1]}, (), own[1]))
        async with await AgentBus.connect(server.url, agent=DEV, login=SeedLogin(dev[0])) as other:
            await until(lambda: other.is_connected)
            await agent.publish(REPORT)
            assert len(await collector.take()) == 1
            await collector.put_plans([PLAN])
            assert await anext(agent.plans()) == PLAN


async def test_reports_that_waited_in_the_one_account_of_earlier_builds_are_taken(tmp_path: Path) -> None:
    own, prod = new_user(), new_user()
    known = accounts({PROD: prod[1]}, (), own[1])
    async with run_server(LOCAL, directory=tmp_path, accounts=known) as server:
        raw = await open_connection(server.url, login=SeedLogin(own[0]), name="earlier build")
        for config in EARLIER_STREAMS:
            told = await raw.request(f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps(config).encode())
            assert b'"error"' not in told.data
        agent = await open_connection(server.url, login=SeedLogin(prod[0]), name="earlier build")
        name = {"Nats-Msg-Id": f"{REPORT.agent}#{REPORT.boot}#{REPORT.sequence}"}
        await agent.request(windows_subject(PROD), encode_report(REPORT), headers=name)
    streams = tmp_path / "jetstream"
    (streams / COLLECTOR_ACCOUNT).rename(streams / "$G")
    async with (
        run_server(LOCAL, directory=tmp_path, accounts=known) as server,
        open_collector_bus(server.url, login=SeedLogin(own[0])) as collector,
    ):
        assert len(await collector.take()) == 1


async def test_a_connection_of_an_agent_has_few_subscriptions(tmp_path: Path) -> None:
    async def hear(_: Message) -> None:
        pass

    async with town(tmp_path) as here:
        agent = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="greedy")
        for number in range(AGENT_SUBSCRIPTIONS + 1):
            await agent.subscribe(f"{SeedLogin(here.seeds[PROD]).inbox}.{number}", hear)
        await agent.wait_ended()
        assert not agent.is_open


async def test_a_message_of_an_agent_is_no_larger_than_a_report_may_be(tmp_path: Path) -> None:
    assert AGENT_PAYLOAD_BYTES == MAX_REPORT_BYTES
    async with town(tmp_path) as here, open_collector_bus(here.url, login=SeedLogin(here.collector)):
        agent = await open_connection(here.url, login=SeedLogin(here.seeds[PROD]), name="greedy")
        await agent.publish(windows_subject(PROD), b"x" * (AGENT_PAYLOAD_BYTES + 1))
        await agent.wait_ended()
        assert not agent.is_open
