"""Plans change in a running collector: with the epoch and the inventory; a bad one changes nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from netprobe.bus.operator import ask_health, ask_snapshot
from netprobe.model.check import Plan
from tests.unit.collector.test_service import (
    AGENTS,
    INVENTORY,
    House,
    house,
    join,
    measure,
    publish_patiently,
)
from tests.unit.nats_server import PATIENCE_S, needs_nats_server

pytestmark = [needs_nats_server, pytest.mark.timeout(300)]

WORKER = "      - {{name: w{0}, host_addresses: [192.0.2.{1}], pod_addresses: [198.51.100.{1}]}}\n"
LARGE = INVENTORY + "".join(WORKER.format(number, number + 1) for number in range(2, 12))


async def until_health(here: House, name: str, value: object) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await ask_health(here.access, timeout_s=PATIENCE_S)).get(name) != value:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def asked(plan: Plan) -> set[int]:
    return {int(check.id) for check in plan.checks}


async def test_a_new_epoch_is_handed_out_and_late_windows_of_the_old_are_counted(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        (tmp_path / "inventory.yaml").write_text(LARGE)
        await here.start(epoch_intervals=10)
        bus, first = await join(stack, here, AGENTS[0])
        async with asyncio.timeout(PATIENCE_S):
            following = [await anext(bus.plans()) for _ in range(2)]
        assert [plan.epoch for plan in (first, *following)] == list(range(first.epoch, first.epoch + 3))
        departed = asked(first) - asked(following[1])
        assert departed
        await publish_patiently(bus, measure(first, 1))
        async with asyncio.timeout(PATIENCE_S):
            while not (await here.counters()).windows_rejected:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        counted = await here.counters()
        assert counted.windows_stored + counted.windows_rejected == len(first.checks)


async def test_the_full_mesh_of_a_small_fleet_keeps_its_epoch(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.start(epoch_intervals=1)
        before = await ask_health(here.access, timeout_s=PATIENCE_S)
        await asyncio.sleep(1)
        after = await ask_health(here.access, timeout_s=PATIENCE_S)
        assert (before["epoch"], after["epoch"]) == (1, 1)


async def test_a_changed_inventory_is_planned_and_a_bad_one_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        bus, first = await join(stack, here, AGENTS[0])
        (tmp_path / "inventory.yaml").write_text(INVENTORY + WORKER.format(1, 9))
        await until_health(here, "inventories_refused", 1)
        assert "the new inventory is refused, the old one stays in use" in caplog.text
        (tmp_path / "inventory.yaml").write_text(INVENTORY + WORKER.format(2, 3))
        async with asyncio.timeout(PATIENCE_S):
            second = await anext(bus.plans())
        assert second.epoch == first.epoch + 1
        # A new worker may take the variants of a route over; what every pair asks stays.
        assert asked(second) - asked(first)
        assert len(asked(first) - asked(second)) <= 1
        snapshot = await ask_snapshot(here.access, timeout_s=PATIENCE_S)
        assert [node.name for node in snapshot.inventory.clusters[0].nodes] == ["gw", "w1", "w2"]
        assert asked(second) <= {int(check.id) for check in snapshot.checks}


async def test_an_agent_that_left_the_fleet_is_asked_nothing_more(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        bus, first = await join(stack, here, AGENTS[2])
        assert first.checks
        alone = "\n".join(line for line in INVENTORY.splitlines() if "w1" not in line)
        (tmp_path / "inventory.yaml").write_text(alone + "\n")
        async with asyncio.timeout(PATIENCE_S):
            last = await anext(bus.plans())
        assert (last.checks, last.epoch) == ((), first.epoch + 1)
