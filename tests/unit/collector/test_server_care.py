"""A bus server that is stuck is started again: at the same address, in time, and not too often."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from netprobe.bus.accounts import Accounts, accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.collector import CollectorBus, open_collector_bus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin
from netprobe.bus.server import Server, run_server
from netprobe.bus.subjects import windows_subject
from netprobe.collector.round_trip import RoundTrip
from netprobe.collector.server_care import MOST_PAUSE_S, ServerCare
from netprobe.errors import SystemRefusedError
from netprobe.model.names import AgentId
from tests.unit.nats_server import LOCAL, needs_nats_server, until

AGENT = AgentId.parse("prod/w1/pod")
SEED, PUBLIC = new_user()
STREAM = "nats/jetstream/netprobe/streams/np1_windows"
OWN_SEED, OWN_PUBLIC = new_user()


def known() -> Accounts:
    return accounts({AGENT: PUBLIC}, (), OWN_PUBLIC)


def stuck(trip: RoundTrip) -> RoundTrip:
    trip.fail("nothing comes back")
    return trip


class StubbornServer(Server):
    """Refuses to start."""

    def __init__(self) -> None:
        self.tried = 0

    async def restart(self, accounts: Accounts) -> None:
        self.tried += 1
        raise SystemRefusedError("nats-server did not start: no")


async def test_it_is_tried_again_with_longer_and_longer_pauses(tmp_path: Path) -> None:
    trip, server = stuck(RoundTrip()), StubbornServer()
    care = ServerCare(trip, tmp_path, interval_s=1.0)
    now_s = 10.0**9
    for hours in range(1, 4):
        for second in range(3_600):
            await care.look(server, known, now_s=now_s + hours * 3_600 + second)
    assert server.tried == care.restarts
    assert 3 * 3_600 / MOST_PAUSE_S <= server.tried <= 3 * 3_600 / MOST_PAUSE_S + 10


async def test_what_is_not_stuck_is_left_alone(tmp_path: Path) -> None:
    server = StubbornServer()
    await ServerCare(RoundTrip(), tmp_path, interval_s=1.0).look(server, known, now_s=10.0**9)
    assert server.tried == 0


def test_a_volume_that_does_not_tell_is_no_shortage(tmp_path: Path) -> None:
    care = ServerCare(RoundTrip(), tmp_path / "nowhere", interval_s=1.0)
    assert (care.free_bytes, care.shortage) == (None, "")
    assert ServerCare(RoundTrip(), tmp_path, interval_s=1.0).free_bytes


async def take(bus: CollectorBus, count: int) -> list[bytes]:
    taken: list[bytes] = []
    while len(taken) < count:
        taken += [one.data for one in await bus.take()]
    return taken


@needs_nats_server
async def test_a_restart_keeps_address_users_and_reports(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        running = run_server(LOCAL, directory=tmp_path / "nats", accounts=known())
        server = await stack.enter_async_context(running)
        before, pid = server.url, server.pid
        async with open_collector_bus(server.url, login=SeedLogin(OWN_SEED)):
            agent = await open_connection(server.url, login=SeedLogin(SEED), name=str(AGENT))
            await agent.request(windows_subject(AGENT), b"before")
            await agent.close()
        care = ServerCare(stuck(RoundTrip()), tmp_path, interval_s=1.0)
        await care.look(server, known, now_s=10.0**9)
        assert (server.url, care.restarts) == (before, 1)
        assert server.pid != pid
        async with open_collector_bus(server.url, login=SeedLogin(OWN_SEED)) as bus:
            assert await take(bus, 1) == [b"before"]


@needs_nats_server
async def test_an_agent_comes_back_by_itself(tmp_path: Path) -> None:
    async with (
        run_server(LOCAL, directory=tmp_path / "nats", accounts=known()) as server,
        await AgentBus.connect(server.url, agent=AGENT, login=SeedLogin(SEED)) as agent,
    ):
        await until(lambda: agent.is_connected)
        await server.restart(known())
        await until(lambda: agent.is_connected)


@needs_nats_server
@pytest.mark.parametrize("content", [b"", b"noise", bytes(76)])
async def test_a_spoilt_consumer_is_made_anew_and_its_reports_come_at_once(
    tmp_path: Path, content: bytes
) -> None:
    """Without that, nats-server refuses the consumer at every start."""
    async with run_server(LOCAL, directory=tmp_path / "nats", accounts=known()) as server:
        async with open_collector_bus(server.url, login=SeedLogin(OWN_SEED)) as bus:
            agent = await open_connection(server.url, login=SeedLogin(SEED), name=str(AGENT))
            await agent.request(windows_subject(AGENT), b"taken, not acknowledged")
            await agent.close()
            await take(bus, 1)
        await server.stop()
        state = tmp_path / STREAM / "obs" / "collector" / "o.dat"
        assert state.exists()
        state.write_bytes(content)
        await server.start()
        async with open_collector_bus(server.url, login=SeedLogin(OWN_SEED)) as bus:
            assert await take(bus, 1) == [b"taken, not acknowledged"]


@needs_nats_server
async def test_what_the_server_says_about_spoilt_files_is_kept_until_the_next_start(tmp_path: Path) -> None:
    async with run_server(LOCAL, directory=tmp_path / "nats", accounts=known()) as server:
        async with open_collector_bus(server.url, login=SeedLogin(OWN_SEED)):
            pass
        await server.stop()
        about = tmp_path / STREAM / "meta.inf"
        about.write_bytes(bytes(len(about.read_bytes())))
        await server.start()
        assert [told for told in server.damages if "metafile" in told]
        care = ServerCare(RoundTrip(), tmp_path, interval_s=1.0)
        care.note_start(server)
        assert care.damages == len(server.damages)
        async with open_collector_bus(server.url, login=SeedLogin(OWN_SEED)):
            pass
        await server.restart(known())
        care.note_start(server)
        assert care.damages == 1
