"""The shell of ``drops``: one walk over all suspects, in a thread of its own."""

from __future__ import annotations

import asyncio
import random
import time

from netprobe.engine.clock import Clock
from netprobe.engine.ports import RATE
from netprobe.errors import SurroundingsError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Reached
from netprobe.probes.drops import DEFAULT_HOPS, suspects_of, write_drops
from netprobe.probes.seen import Seen


async def find_drops(check: Check, clock: Clock, key: bytes, rng: random.Random) -> Seen:
    """Between which hops each port is lost; never longer than the check's time."""
    del clock, key
    return await asyncio.to_thread(_walk, check, rng.getrandbits(32))


def _walk(check: Check, seed: int) -> Seen:
    from netprobe.engine.sweep.walk import walk_drops  # noqa: PLC0415 - arrays load when they are asked for

    began_ns = time.monotonic_ns()
    hops = int(check.probe.option("hops", str(DEFAULT_HOPS)))
    try:
        drops = walk_drops(
            suspects_of(check), hops=hops, rate=RATE, within_ns=check.probe.timeout_ns, seed=seed
        )
    except SurroundingsError as error:
        return Seen(NotMeasured(str(error)))
    return Seen(Reached(time.monotonic_ns() - began_ns), facts=write_drops(drops))
