"""``netprobe.open`` on a live collector, inside a running event loop as in a notebook."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import netprobe
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.keys import write_seed
from netprobe.bus.login import SeedLogin
from netprobe.errors import SystemRefusedError
from netprobe.wire.conclusions import encode_snapshot
from tests import fleets
from tests.unit.nats_server import needs_nats_server, town


@needs_nats_server
async def test_a_collector_is_asked_over_its_bus(tmp_path: Path) -> None:
    async def tell(_: bytes) -> bytes:
        return encode_snapshot(fleets.tunnel_down())

    async with (
        town(tmp_path) as here,
        open_collector_bus(here.url, login=SeedLogin(here.collector)) as collector,
    ):
        await collector.serve("snapshot", tell)
        seed = tmp_path / "operator.seed"
        write_seed(seed, here.operator)
        fleet = await asyncio.to_thread(netprobe.open, here.url, seed=seed)
    assert fleet.snapshot == fleets.tunnel_down()
    assert fleet.windows.empty


async def test_nobody_at_home_is_one_clear_error_even_inside_a_running_loop(tmp_path: Path) -> None:
    write_seed(tmp_path / "seed", "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU")
    with pytest.raises(SystemRefusedError):
        netprobe.open("nats://127.0.0.1:1", seed=tmp_path / "seed")
