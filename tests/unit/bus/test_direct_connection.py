"""An agent's way to the bus, past the services that it tests: a relay stands for a service's proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from netprobe.bus.agent import AgentBus
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.login import SeedLogin
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.wire.messages import decode_plan, encode_plan
from netprobe_agent.bus_address_cache import load_bus_addresses, save_bus_addresses
from tests.unit.nats_server import DEV, PROD, needs_nats_server, town, until

NOWHERE = "127.0.0.1:1"
PLAN = Plan(PROD, epoch=1, checks=(), interval_ns=10**9, cookie_key=bytes(16))


@dataclass(slots=True)
class Proxy:
    """A service's proxy: carries what comes to the server behind it, until it is taken away."""

    port: int
    ends: list[asyncio.StreamWriter] = field(default_factory=list)
    taken: int = 0
    stands: bool = True

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        if not self.stands:
            writer.close()
            return
        self.taken += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.ends += [writer, far_writer]
        with suppress(OSError):
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    def take_away(self) -> None:
        """Connections end, and none is carried any more."""
        self.stands = False
        for end in self.ends:
            end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def behind_a_service(directory: Path, *addresses: str) -> AsyncIterator[tuple[AgentBus, Proxy]]:
    """An agent that knows the bus by a service and is told *addresses*; ``BUS`` is the bus itself."""
    async with town(directory) as here:
        port = urlsplit(here.url).port
        assert port is not None
        proxy = Proxy(port)
        told = tuple(f"127.0.0.1:{port}" if address == "BUS" else address for address in addresses)
        async with (
            await asyncio.start_server(proxy.carry, "127.0.0.1", 0) as service,
            open_collector_bus(here.url, login=SeedLogin(here.collector)) as collector,
        ):
            await collector.put_plans([replace(PLAN, bus=told)])
            url = f"nats://127.0.0.1:{service.sockets[0].getsockname()[1]}"
            async with await AgentBus.connect(url, agent=PROD, login=SeedLogin(here.seeds[PROD])) as agent:
                async for plan in agent.plans():
                    assert plan.bus == told
                    break
                yield agent, proxy


@needs_nats_server
async def test_an_agent_goes_past_the_service_that_leads_to_the_bus(tmp_path: Path) -> None:
    async with behind_a_service(tmp_path, NOWHERE, "BUS") as (agent, proxy):
        await until(lambda: agent.is_direct)
        assert proxy.taken == 1
        proxy.take_away()
        await asyncio.sleep(0.2)
        assert agent.is_connected


@needs_nats_server
async def test_where_the_bus_itself_cannot_be_reached_the_service_is_used(tmp_path: Path) -> None:
    async with behind_a_service(tmp_path, NOWHERE) as (agent, proxy):
        await until(lambda: agent.is_connected and proxy.taken == 2)
        assert not agent.is_direct


@needs_nats_server
async def test_an_agent_that_starts_where_the_service_is_broken_remembers_the_bus(tmp_path: Path) -> None:
    async with town(tmp_path) as here, open_collector_bus(
        here.url, login=SeedLogin(here.collector)
    ) as collector:  # fmt: skip
        door = f"127.0.0.1:{urlsplit(here.url).port}"
        save_bus_addresses(tmp_path, replace(PLAN, bus=(NOWHERE, door)))
        await collector.put_plans([replace(PLAN, bus=(door,))])
        async with await AgentBus.connect(
            f"nats://{NOWHERE}", agent=PROD, login=SeedLogin(here.seeds[PROD]),
            direct_addresses=load_bus_addresses(tmp_path, PROD),
        ) as agent:  # fmt: skip
            async for plan in agent.plans():
                assert plan.bus == (door,)
                break
            await until(lambda: agent.is_direct)


@needs_nats_server
async def test_a_remembered_bus_that_is_gone_only_costs_a_try(tmp_path: Path) -> None:
    async with (
        town(tmp_path) as here,
        await AgentBus.connect(
            here.url, agent=PROD, login=SeedLogin(here.seeds[PROD]), direct_addresses=(NOWHERE,)
        ) as agent,
    ):
        await until(lambda: agent.is_connected)
        assert not agent.is_direct


def test_of_a_plan_only_the_way_to_the_bus_is_kept(tmp_path: Path) -> None:
    save_bus_addresses(tmp_path, replace(PLAN, bus=("10.0.0.7:4222",), cookie_key=b"secret" * 5))
    assert load_bus_addresses(tmp_path, PROD) == ("10.0.0.7:4222",)
    assert load_bus_addresses(tmp_path, DEV) == ()
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    save_bus_addresses(tmp_path, PLAN)
    assert (load_bus_addresses(tmp_path, PROD), list(tmp_path.iterdir())) == ((), [])


@pytest.mark.parametrize("kept", [b"", b"{", encode_plan(replace(PLAN, bus=("bus:4222",)))])
def test_what_is_no_address_is_not_recalled(kept: bytes, tmp_path: Path) -> None:
    (tmp_path / "bus.plan").write_bytes(kept)
    assert load_bus_addresses(tmp_path, PROD) == ()


def test_a_folder_that_refuses_costs_only_the_hint(tmp_path: Path) -> None:
    save_bus_addresses(tmp_path / "nowhere", replace(PLAN, bus=("10.0.0.7:4222",)))
    assert load_bus_addresses(tmp_path / "nowhere", PROD) == ()


@pytest.mark.parametrize("address", ["bus:4222", "10.0.0.7", "10.0.0.7:0", "::1:4222", "10.0.0.7:99999"])
def test_an_address_of_the_bus_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(RemoteFormatError, match=r"bus\[0\]: is not IP:PORT"):
        decode_plan(encode_plan(replace(PLAN, bus=(address,))))


def test_addresses_of_both_families_are_read() -> None:
    plan = replace(PLAN, bus=("10.0.0.7:4222", "[fd00::7]:4222"))
    assert decode_plan(encode_plan(plan)) == plan
