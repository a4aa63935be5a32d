"""Floods by one agent with its own credential, on the real collector and the real ``nats-server``.

Beside it, another agent reports as ever: how long until its report is in the history, compared with the same
agent on the same machine while it is calm. The bars: the median of a flood at most twice the calm one,
nats-server never above 128 MiB, at most one log line per agent and minute.

Flooder and victim share the benchmark's process, so the ratios are upper bounds.

- junk: 31,500 messages of 10 bytes in 8 s, on the agent's own subject;
- large: 56 valid reports of 3.7 MiB in 8 s, nearly all of it texts that no window uses;
- deaf: 12 connections that ask for a plan of 70 kB 700 times each and do not read;
- listeners: 300,000 subscriptions, on as many connections as the server leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.chaos.namespaces import enter
from benchmarks.chaos.raw_client import RawClient
from benchmarks.chaos.simulated_agent import SimulatedAgent
from benchmarks.chaos.world import ChaosWorld, chaos_world, read_names
from netprobe.bus.collector import CollectorBus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import public_key, read_seed
from netprobe.bus.login import SeedLogin
from netprobe.bus.subjects import inbox_of, plan_get_subject, windows_subject
from netprobe.wire.reports import columns_of, encode_columns

FLOOD_S = 8.0
JUNK, LARGE, LARGE_BYTES = 31_500, 56, 3_700 * 1024
DEAF, QUESTIONS, SUBSCRIPTIONS = 12, 700, 300_000
_PLAN_BYTES = 70_000
_LOOKS = 12
_LOOK_S = 0.002


def run(arguments: list[str]) -> dict[str, object]:
    """Play every flood."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks flood")
    parser.add_argument("--only", action="append", choices=sorted(FLOODS), help="may be given repeatedly")
    asked = parser.parse_args(arguments)
    enter("flood", arguments)
    figures: dict[str, object] = {}
    for name in asked.only or FLOODS:
        with tempfile.TemporaryDirectory(prefix="netprobe-flood-", ignore_cleanup_errors=True) as made:
            figures |= asyncio.run(_play(name, Path(made)))
    return figures


async def _play(name: str, folder: Path) -> dict[str, object]:
    async with chaos_world(folder, interval_s=1.0, size="600m") as world:
        flooder, victim = world.agents[0], world.agents[-1]
        calm = [await _time_one(world, victim) for _ in range(_LOOKS)]
        log, history = world.folder / "log", world.history
        lines, size = len(log.read_text().splitlines()), _size_of(history)
        flooding = asyncio.create_task(FLOODS[name](world, flooder))
        flooded, began_s = [], time.monotonic()
        while not flooding.done() or time.monotonic() - began_s < FLOOD_S:
            flooded.append(await _time_one(world, victim))
            await asyncio.sleep(0.2)
        cut = await flooding
        await asyncio.sleep(2.0)
        told = [line for line in log.read_text().splitlines()[lines:] if " INFO " not in line]
        return {
            f"{name}_calm_s": round(statistics.median(calm), 4),
            f"{name}_calm_slowest_s": round(max(calm), 4),
            f"{name}_flooded_s": round(statistics.median(flooded), 4),
            f"{name}_flooded_slowest_s": round(max(flooded), 4),
            f"{name}_ratio": round(statistics.median(flooded) / statistics.median(calm), 2),
            f"{name}_server_peak_mib": round(_peak_kib(world) / 1024, 1),
            f"{name}_log_lines": len(told),
            f"{name}_history_growth_mib": round((_size_of(history) - size) / 2**20, 2),
            f"{name}_note": cut,
        }


async def _time_one(world: ChaosWorld, agent: SimulatedAgent) -> float:
    """How long until one report of *agent* is in the history."""
    report = agent.make_extra()
    name = (str(agent.name), report.boot, report.sequence)
    began_s = time.monotonic()
    await agent.publish(report)
    while name not in await asyncio.to_thread(read_names, world.history, boot=report.boot):
        if time.monotonic() - began_s > 60:
            break
        await asyncio.sleep(_LOOK_S)
    return time.monotonic() - began_s


async def flood_with_junk(world: ChaosWorld, flooder: SimulatedAgent) -> str:
    async with await RawClient.open(world.url, world.seeds[flooder.name]) as client:
        reading = asyncio.create_task(client.reader.read(-1))
        began_s = time.monotonic()
        for number in range(JUNK):
            client.publish(windows_subject(flooder.name), b"0123456789")
            if number % 100 == 0:
                await client.drain()
                await asyncio.sleep(max(0.0, began_s + FLOOD_S * number / JUNK - time.monotonic()))
        await client.drain()
        reading.cancel()
    return f"{JUNK} messages"


async def flood_with_large_reports(world: ChaosWorld, flooder: SimulatedAgent) -> str:
    report = columns_of(flooder.make_extra())
    texts = [f"{number:0999d}" for number in range(LARGE_BYTES // 1_002)]
    report.windows.texts += texts
    ready = [
        encode_columns(msgspec.structs.replace(report, boot="flood", sequence=number))
        for number in range(LARGE)
    ]
    async with await RawClient.open(world.url, world.seeds[flooder.name]) as client:
        began_s = time.monotonic()
        for number, told in enumerate(ready):
            client.publish(windows_subject(flooder.name), told)
            await client.drain()
            await asyncio.sleep(max(0.0, began_s + FLOOD_S * number / LARGE - time.monotonic()))
    return f"{LARGE} reports of {len(ready[0])} bytes"


async def ask_and_do_not_read(world: ChaosWorld, flooder: SimulatedAgent) -> str:
    login = SeedLogin(read_seed(world.data / "collector.seed"))
    plan = flooder.plan
    assert plan is not None
    padded = replace(plan, askable=tuple(f"10.{n // 250}.{n % 250}.0/24" for n in range(_PLAN_BYTES // 16)))
    connection = await open_connection(world.url, login=login, name="by hand")
    await CollectorBus(connection).put_plans([padded])
    await connection.close()
    seed = world.seeds[flooder.name]
    inbox = inbox_of(public_key(seed))
    open_ones = 0
    async with AsyncExitStack() as stack:
        for number in range(DEAF):
            try:
                client = await RawClient.open(world.url, seed, limit=1_024)
            except (OSError, ValueError):
                continue
            await stack.enter_async_context(client)
            client.subscribe(f"{inbox}.{number}", 1)
            for _ in range(QUESTIONS):
                client.publish(plan_get_subject(flooder.name), b"", f"{inbox}.{number}")
            open_ones += await client.drain()
        await asyncio.sleep(FLOOD_S)
    return f"{open_ones} of {DEAF} connections could ask"


async def subscribe_without_end(world: ChaosWorld, flooder: SimulatedAgent) -> str:
    seed = world.seeds[flooder.name]
    inbox = inbox_of(public_key(seed))
    opened, began_s = 0, time.monotonic()
    for begin in range(0, SUBSCRIPTIONS, 10_000):
        if time.monotonic() - began_s > 2 * FLOOD_S:
            break
        async with await RawClient.open(world.url, seed) as client:
            opened += 1
            for number in range(begin, begin + 10_000):
                client.subscribe(f"{inbox}.{number}", number + 1)
            await client.drain()
            await asyncio.sleep(0.05)
    return f"{opened} connections with 10,000 subscriptions each"


Flood = Callable[[ChaosWorld, SimulatedAgent], Coroutine[Any, Any, str]]
FLOODS: dict[str, Flood] = {
    "junk": flood_with_junk,
    "large": flood_with_large_reports,
    "deaf": ask_and_do_not_read,
    "listeners": subscribe_without_end,
}


def _peak_kib(world: ChaosWorld) -> int:
    (ports,) = (world.data / "nats").glob("*.ports")
    pid = ports.stem.rpartition("_")[2]
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def _size_of(history: Path) -> int:
    return sum(part.stat().st_size for part in history.parent.glob(f"{history.name}*"))
