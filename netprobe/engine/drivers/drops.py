"""Drives ``drops``: one firewalk over all suspects as arrays, in a thread of its own.

The arrays need raw sockets. Without NET_RAW each suspect is firewalked by itself over unprivileged sockets,
one after another because routers limit their ICMP: as many as fit the check's time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.ports import RATE
from netprobe.engine.drivers.trace import walk_port
from netprobe.engine.keyring import Keyring
from netprobe.errors import SystemRefusedError
from netprobe.model.check import Check
from netprobe.model.outcome import Reached
from netprobe.probes.drops import DEFAULT_HOPS, DropLocation, find_drop, suspects_of, write_drops, write_facts
from netprobe.probes.firewalk import FirewalkSpec
from netprobe.probes.observation import Observation

_PATIENCE_NS = 500_000_000
"""Time-out of one packet of a single firewalk."""


async def find_drops(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Between which hops each port is lost; never longer than the check's time."""
    began_ns = clock.mono_ns()
    try:
        drops = await asyncio.to_thread(_walk_all, check, rng.getrandbits(32))
    except SystemRefusedError:
        drops = [drop async for drop in _walk_each(check, clock, keys, rng)]
    return Observation(
        Reached(clock.mono_ns() - began_ns), facts=write_facts(drops), values=write_drops(drops)
    )


def _walk_all(check: Check, seed: int) -> list[DropLocation]:
    """Raises :class:`SystemRefusedError` where raw sockets are refused."""
    from netprobe.engine.sweep.firewalk import walk_drops  # noqa: PLC0415 - arrays load when they are asked for

    suspects, within_ns = suspects_of(check), check.probe.timeout_ns
    return walk_drops(suspects, hops=_hops_of(check), rate=RATE, within_ns=within_ns, seed=seed)


async def _walk_each(
    check: Check, clock: Clock, keys: Keyring, rng: random.Random
) -> AsyncIterator[DropLocation]:
    """The places of those that have a control probe, until the check's time is up."""
    until_ns = clock.mono_ns() + check.probe.timeout_ns
    for one in suspects_of(check):
        here = replace(check, target=replace(check.target, address=one.address))
        for transport, port in one.ports if one.control else ():
            assert one.control is not None
            left_ns = until_ns - clock.mono_ns()
            if left_ns <= 0:
                return
            spec = FirewalkSpec(port, one.control[1], str(transport), _PATIENCE_NS, left_ns, _hops_of(check))
            walked = await walk_port(here, spec, str(one.control[0]), clock, keys=keys, rng=rng)
            drop = find_drop(walked, one.address, transport)
            if drop is not None:
                yield drop


def _hops_of(check: Check) -> int:
    return int(check.probe.option("hops", str(DEFAULT_HOPS)))
