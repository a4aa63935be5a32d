"""The bad days, one function each: what is broken, when it is seen, and that it heals without help."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.spoiling import WAYS, list_files, spoil
from benchmarks.chaos.tally import ChaosTally
from benchmarks.chaos.world import (
    COLLECTOR,
    PATIENCE_S,
    ChaosWorld,
    chaos_world,
    read_names,
    size_left,
)


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """How the experiments of one run are played."""

    is_small: bool = False
    """Each once, with a few kills and files."""
    program: tuple[str, ...] = COLLECTOR
    """The module that is run as the collector, and its first arguments."""
    patience_s: float = PATIENCE_S
    """See :class:`ChaosWorld`."""


Experiment = Callable[[Path, ChaosTally, ChaosOptions], Awaitable[None]]

FULL_S, LOCKED_S, READ_ONLY_S = 6.0, 9.0, 4.0
HOUR_S = 3_600.0
KILLS, KILLS_SMALL = 50, 3
_SEED = 15
_SHOWN_LOG = 4_000
_CLOCK_SEEN = ('netprobe_findings{cause="clock"}', "netprobe_agent_clock_offset_seconds{")
_DESTROYED_SEEN = (
    "netprobe_reports_missing",
    "netprobe_reports_destroyed_total",
    "netprobe_reports_sent_again_total",
    "netprobe_stream_damages_total",
)
_LOSS_SAID = ("reports_missing", "reports_destroyed", "reports_sent_again", "stream_damages")
"""Figures of the collector's health."""


async def fill_the_disk(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """The volume of bus and history is full for a while."""
    async with _played(folder, tally, options) as world:
        ballast = world.data / "ballast"
        began_s = time.monotonic()
        world.blind_since_s = began_s + world.interval_s
        _fill(ballast)
        tally.unseen_s.append(await world.seconds_until_seen(since_s=began_s))
        while time.monotonic() - began_s < FULL_S:
            _fill(ballast)  # also the room of what was deleted meanwhile
            await asyncio.sleep(0.2)
        ballast.unlink()
        world.blind_since_s = None


async def lock_the_history(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """Another program holds the history's write lock for nine seconds."""
    async with _played(folder, tally, options) as world:
        began_s = world.blind_since_s = time.monotonic()
        with locked(world.history):
            tally.unseen_s.append(await world.seconds_until_seen(since_s=began_s))
            await asyncio.sleep(max(0.0, LOCKED_S - (time.monotonic() - began_s)))
        world.blind_since_s = None


async def turn_disks_read_only(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """The volumes of bus, history and spools come up read-only after a crash, and stay so for a while."""
    async with _played(folder, tally, options) as world:
        began_s = world.blind_since_s = time.monotonic()
        await world.kill_collector()
        for volume in (world.data, folder / "spool"):
            _remount(volume, "ro")
        tally.unseen_s.append(await world.seconds_until_seen(since_s=began_s))
        starting = asyncio.create_task(world.start_collector())
        await asyncio.sleep(READ_ONLY_S)
        for volume in (world.data, folder / "spool"):
            _remount(volume, "rw")
        tally.restarts_by_hand += not await starting
        world.blind_since_s = None


async def spoil_files(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """Each file of stream, consumer and history, in each way, while reports wait in the stream."""
    async with _played(folder, tally, options) as world:
        files = list_files(world.data)
        chosen = [(file, way) for file in files for way in WAYS]
        for file, way in chosen[:: max(1, len(chosen) // 4)] if options.is_small else chosen:
            await _spoil_one(world, tally, file, way)


async def spoil_spools(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """One waiting report of an agent's spool, in each way."""
    async with _played(folder, tally, options) as world:
        agent = world.agents[0]
        for way in WAYS:
            await world.kill_collector()
            await asyncio.sleep(1.5 * world.interval_s)
            await agent.stop_sending()
            waiting = sorted((folder / "spool" / str(agent.name)).glob("*.report"))
            if waiting:
                spoil(waiting[0], way)
            agent.start_again()
            tally.restarts_by_hand += not await world.start_collector()
            await _until(lambda: not agent.waiting)
            tally.destroyed += bool(agent.spool.windows_dropped)


async def step_the_collectors_clock(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """The collector's wall clock is an hour behind, then an hour ahead."""
    async with _played(folder, tally, options) as world:
        for by_s in (-HOUR_S, HOUR_S):
            began_s = time.monotonic()
            world.set_clock(by_s)
            tally.unseen_s.append(await world.seconds_until_seen(*_CLOCK_SEEN, since_s=began_s))
            await asyncio.sleep(4 * world.interval_s)
            world.set_clock(0)
            await asyncio.sleep(4 * world.interval_s)


async def step_an_agents_clock(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """One agent's wall clock is an hour behind, then an hour ahead."""
    async with _played(folder, tally, options) as world:
        for by_s in (-HOUR_S, HOUR_S):
            began_s = time.monotonic()
            world.agents[0].clock_s = by_s
            tally.unseen_s.append(await world.seconds_until_seen(*_CLOCK_SEEN, since_s=began_s))
            await asyncio.sleep(4 * world.interval_s)
            world.agents[0].clock_s = 0
            await asyncio.sleep(4 * world.interval_s)


async def kill_again_and_again(folder: Path, tally: ChaosTally, options: ChaosOptions) -> None:
    """The collector is killed while it stores; its bus server dies with it."""
    rng = random.Random(_SEED)
    # a waiting report takes a page of the spools' volume: where starts are slow, ten thousand wait
    async with _played(folder, tally, options, size="200m") as world:
        for agent in world.agents:
            agent.interval_s = world.interval_s / 10
        for _ in range(KILLS_SMALL if options.is_small else KILLS):
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            await world.kill_collector()
            tally.kills += 1
            tally.restarts_by_hand += not await world.start_collector()


EXPERIMENTS: dict[str, Experiment] = {
    "disk full": fill_the_disk,
    "history locked": lock_the_history,
    "disks read-only": turn_disks_read_only,
    "files spoilt": spoil_files,
    "spools spoilt": spoil_spools,
    "collector's clock": step_the_collectors_clock,
    "agent's clock": step_an_agents_clock,
    "kills": kill_again_and_again,
}


@asynccontextmanager
async def _played(
    folder: Path, tally: ChaosTally, options: ChaosOptions, *, size: str = "40m"
) -> AsyncIterator[ChaosWorld]:
    """The world, and afterwards whether it goes on by itself, and what was lost."""
    async with chaos_world(
        folder, interval_s=1.0, size=size, program=options.program, patience_s=options.patience_s
    ) as world:
        yield world
        await asyncio.sleep(2 * world.interval_s)
        tally.restarts_by_hand += not await world.settle()
        await world.kill_collector(signal.SIGTERM)
        sent, stored = world.names_sent(), world.names_stored()
        tally.destroyed += len(world.destroyed - stored)
        tally.sent, tally.stored = len(sent), len(sent & stored)
        tally.unexplained = tally.sent - tally.stored - tally.destroyed
        tally.green_while_unmeasured = world.green
        if tally.unexplained or tally.restarts_by_hand:
            print((folder / "log").read_text()[-_SHOWN_LOG:], file=sys.stderr)


async def _spoil_one(world: ChaosWorld, tally: ChaosTally, file: Path, way: str) -> None:
    """Spoil *file* between a kill and the next start; reports wait in the stream, and in no other place."""
    if file.name.endswith("-wal"):  # the last connection to a history empties this one
        await world.kill_collector()
    else:
        with locked(world.history):
            await asyncio.sleep(1.2 * world.interval_s)
            await world.kill_collector(signal.SIGTERM if file.name == "index.db" else signal.SIGKILL)
    kept = world.names_stored() | world.destroyed
    in_stream = {name for agent in world.agents for name in agent.acknowledged} - kept
    if file.name.startswith("history.db"):
        world.stored_before |= read_names(world.history)
    if not spoil(file, way):
        tally.restarts_by_hand += not await world.start_collector()
        return
    tally.restarts_by_hand += not await world.start_collector()
    # Asked from the start: whether a report is lost is known only after a wait, and it may be said before.
    seen = asyncio.create_task(world.seconds_until_seen(*_DESTROYED_SEEN, since_s=time.monotonic()))
    try:
        await _until(lambda: in_stream <= world.names_stored(), patience_s=2.5 * world.interval_s)
        lost = in_stream - world.names_stored()
        world.destroyed |= lost
        if lost:
            tally.unseen_s.append(await seen)
            told = await world.health()
            is_said = any(told[key] for key in _LOSS_SAID)
            tally.destroyed_unsaid += not is_said
    finally:
        seen.cancel()


async def _until(holds: Callable[[], bool], *, patience_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + patience_s
    while not holds() and time.monotonic() < deadline_s:  # noqa: ASYNC110 - files have no event
        await asyncio.sleep(0.1)


@contextmanager
def locked(history: Path) -> Iterator[None]:
    """Hold the write lock of a history for the time of the block."""
    with closing(sqlite3.connect(history, isolation_level=None, timeout=5.0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def _fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while size_left(ballast.parent) > 0:
            file.write(bytes(4_096))


def _remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)
