"""Floods by one agent with its own credential, on the real collector and the real ``nats-server``.

Beside it, another agent reports as ever: how long until its report is in the history, compared with the same
agent on the same machine while it is calm. The bars: the median of a flood at most twice the calm one,
nats-server never above 128 MiB, at most one log line per agent and minute. Each flood is preceded and
followed by a calm time, so that what else the machine does weighs on both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.chaos.namespaces import enter
from benchmarks.chaos.simulated_agent import SimulatedAgent
from benchmarks.chaos.world import ChaosWorld, chaos_world, read_names
from benchmarks.flooder import FLOODS, FloodOrder
from netprobe.bus.collector import CollectorBus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import read_seed
from netprobe.bus.login import SeedLogin
from netprobe.wire.reports import encode_report

_PLAN_BYTES = 70_000
_LOOKS = 20
_LOOK_S = 0.002
_PAUSE_S = 0.1
_AFTER_S = 2.0


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
        if name == "deaf":
            await _put_large_plan(world, flooder)
        log, history = world.folder / "log", world.history
        flood = await _prepare(world, flooder, name)
        calm = await _time_some(world, victim)
        cpu_s = -_cpu_s_of_server(world)
        lines, size = len(log.read_text().splitlines()), _size_of(history)
        flooded = []
        assert flood.stdin is not None
        flood.stdin.write(b"go\n")
        while flood.returncode is None:
            flooded.append(await _time_one(world, victim))
            await asyncio.sleep(_PAUSE_S)
        cpu_s += _cpu_s_of_server(world)
        said, _ = await flood.communicate()
        await asyncio.sleep(_AFTER_S)
        calm += await _time_some(world, victim)
        told = [line for line in log.read_text().splitlines()[lines:] if " INFO " not in line]
        return {
            f"{name}_calm_s": round(statistics.median(calm), 4),
            f"{name}_calm_slowest_s": round(max(calm), 4),
            f"{name}_flooded_s": round(statistics.median(flooded), 4),
            f"{name}_flooded_slowest_s": round(max(flooded), 4),
            f"{name}_ratio": round(statistics.median(flooded) / statistics.median(calm), 2),
            f"{name}_server_peak_mib": round(_peak_kib(world) / 1024, 1),
            f"{name}_server_cpu_s": round(cpu_s, 2),
            f"{name}_log_lines": len(told),
            f"{name}_history_growth_mib": round((_size_of(history) - size) / 2**20, 2),
            f"{name}_note": said.decode().strip(),
        }


async def _prepare(world: ChaosWorld, flooder: SimulatedAgent, name: str) -> asyncio.subprocess.Process:
    """The process that floods as soon as it reads a line; it has prepared everything."""
    order = FloodOrder(
        name, world.url, str(flooder.name), world.seeds[flooder.name], encode_report(flooder.make_extra())
    )
    file = world.folder / "order"
    file.write_bytes(msgspec.msgpack.encode(order))
    flood = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.flooder", file,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert flood.stdout is not None
    await flood.stdout.readline()
    return flood


async def _put_large_plan(world: ChaosWorld, flooder: SimulatedAgent) -> None:
    """Give the flooder a plan of 70 kB, to be asked for."""
    login = SeedLogin(read_seed(world.data / "collector.seed"))
    plan = flooder.plan
    assert plan is not None
    padded = replace(plan, askable=tuple(f"10.{n // 250}.{n % 250}.0/24" for n in range(_PLAN_BYTES // 16)))
    connection = await open_connection(world.url, login=login, name="by hand")
    await CollectorBus(connection).put_plans([padded])
    await connection.close()


async def _time_some(world: ChaosWorld, agent: SimulatedAgent) -> list[float]:
    taken = []
    for _ in range(_LOOKS):
        taken.append(await _time_one(world, agent))
        await asyncio.sleep(_PAUSE_S)
    return taken


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


def _peak_kib(world: ChaosWorld) -> int:
    status = (_proc_of_server(world) / "status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def _cpu_s_of_server(world: ChaosWorld) -> float:
    ticks = (_proc_of_server(world) / "stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _proc_of_server(world: ChaosWorld) -> Path:
    (ports,) = (world.data / "nats").glob("*.ports")
    return Path("/proc") / ports.stem.rpartition("_")[2]


def _size_of(history: Path) -> int:
    return sum(part.stat().st_size for part in history.parent.glob(f"{history.name}*"))
