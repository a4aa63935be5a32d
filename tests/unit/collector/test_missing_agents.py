"""The whole way on a real bus: an API calls two agents running, one of them reports, the other is missed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from netprobe.analysis.analyst import Analyst
from netprobe.bus.agent import AgentBus
from netprobe.bus.keys import new_user
from netprobe.bus.login import Login, SeedLogin, TokenLogin
from netprobe.bus.operator import Access, ask_snapshot
from netprobe.bus.server import Listen
from netprobe.cli.actions.collector import plan
from netprobe.collector.ports import AnalysisPorts
from netprobe.collector.service import run_collector
from netprobe.collector.settings import Settings
from netprobe.errors import BusAwayError, SystemRefusedError
from netprobe.model.finding import Cause, Finding
from netprobe.model.names import AgentId
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import AgentHealth, Report
from netprobe.wire.messages import Presence
from tests.unit.bus.test_tokens import CLUSTERS, signed
from tests.unit.collector.test_cluster_watchers import STARTED, node, pod
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig
from tests.unit.nats_server import PATIENCE_S, needs_nats_server

pytestmark = [needs_nats_server, pytest.mark.timeout(300)]

INTERVAL_NS = 200_000_000
HERE, MISSED = AgentId.parse("prod/w1/pod"), AgentId.parse("prod/w2/pod")


def running(on: str, address: str) -> dict[str, object]:
    told = pod(on, {"running": {"startedAt": STARTED}})
    told["status"]["podIPs"] = [{"ip": address}]
    return told


class WatchedFleet:
    """A collector that watches a cluster of two nodes, and how it is asked."""

    def __init__(self, settings: Settings, seeds: dict[AgentId, str], operator: str) -> None:
        self.settings = settings
        self.seeds = seeds
        self.operator = operator

    @property
    def url(self) -> str:
        url: str = json.loads(self.settings.ready_file.read_text())["url"]
        return url

    async def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(SystemRefusedError):  # nothing is concluded yet
                    snapshot = await ask_snapshot(Access(self.url, self.operator))
                    if holds(snapshot):
                        return snapshot
                await asyncio.sleep(0.1)

    async def find(self, part: str) -> Finding:
        """The only finding, once it names *part*."""
        snapshot = await self.until(lambda now: [str(one.components[0]) for one in now.findings] == [part])
        return snapshot.findings[0]

    async def open(self, agent: AgentId, login: Login) -> AgentBus:
        return await AgentBus.connect(self.url, agent=agent, login=login)

    async def report_forever(self) -> None:
        """What an agent without checks does."""
        sequence = 0
        async with await self.open(HERE, SeedLogin(self.seeds[HERE])) as bus:
            while True:
                await asyncio.sleep(INTERVAL_NS / 1e9)
                start_ns = (time.time_ns() // INTERVAL_NS - 1) * INTERVAL_NS
                sequence += 1
                health = AgentHealth(HERE, start_ns, 1)
                with suppress(BusAwayError):
                    await bus.publish(
                        Report(HERE, 1, sequence, "b00t", start_ns, INTERVAL_NS, (), (), health)
                    )


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[WatchedFleet]:
    agents, (operator, operator_public) = {agent: new_user() for agent in (HERE, MISSED)}, new_user()
    public = {str(agent): public for agent, (_, public) in agents.items()}
    (folder / "keys.json").write_text(json.dumps({"agents": public, "operators": [operator_public]}))
    (folder / "clusters").mkdir()
    served = Served(
        items={
            "nodes": [node("w1"), node("w2")],
            "pods": [running("w1", "198.51.100.1"), running("w2", "198.51.100.2")],
        }
    )
    settings = Settings(
        None, folder / "data", Listen("127.0.0.1", 0), folder / "keys.json", interval_ns=INTERVAL_NS,
        clusters=folder / "clusters",
    )  # fmt: skip
    stop = asyncio.Event()
    async with serve(served), asyncio.TaskGroup() as group:
        write_kubeconfig(folder / "clusters" / "prod.kubeconfig", served.url)
        trusted = CLUSTERS[0]
        registered = {
            "name": "prod", "kubeconfig": "prod.kubeconfig", "issuer": trusted.issuer, "keys": trusted.keys,
        }  # fmt: skip
        (folder / "clusters" / "prod.yaml").write_text(json.dumps(registered))
        analyst = partial(Analyst, late_after_ns=3 * 10**9)
        group.create_task(run_collector(settings, AnalysisPorts(plan, analyst), stop=stop))
        async with asyncio.timeout(PATIENCE_S):
            while not settings.ready_file.exists():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)
        here = WatchedFleet(settings, {agent: seed for agent, (seed, _) in agents.items()}, operator)
        reporting = group.create_task(here.report_forever())
        yield here
        reporting.cancel()
        stop.set()


async def test_an_agent_that_never_comes_is_found_while_the_other_reports(tmp_path: Path) -> None:
    async with fleet(tmp_path) as here:
        finding = await here.find("bus-way(prod/w2)")
    assert finding.cause is Cause.AGENT_CUT_OFF
    assert f"Agent {MISSED} runs since 2026-11-28 03:12 UTC" in str(finding.summary)
    assert "no agent probes their addresses now" in "; ".join(str(told.text) for told in finding.evidence_for)


async def test_one_that_shows_a_token_of_long_ago_is_turned_away(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(signed(exp=1, nbf=0))
    async with fleet(tmp_path) as here, await here.open(MISSED, TokenLogin(MISSED, tmp_path / "token")):
        finding = await here.find(f"bus-way({MISSED})")
    assert f"Agent {MISSED} asks to be let in (expired: " in str(finding.summary)


async def test_one_that_is_on_the_bus_and_does_not_report_is_sick(tmp_path: Path) -> None:
    async with fleet(tmp_path) as here, await here.open(MISSED, SeedLogin(here.seeds[MISSED])) as bus:
        async with asyncio.timeout(PATIENCE_S):
            while not bus.is_connected:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await bus.announce(Presence(MISSED, "b00t", 1, addresses=("198.51.100.2",)))
        assert (await here.find(f"agent({MISSED})")).cause is Cause.AGENT_SICK
