"""Probe kind → function that drives its sans-IO machine over sockets (kinds with ``PacketDriver``)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.drops import find_drops
from netprobe.engine.drivers.idle import wait_idle
from netprobe.engine.drivers.pmtu import search_pmtu
from netprobe.engine.drivers.ports import ask_ports
from netprobe.engine.drivers.trace import trace_route, walk_firewall
from netprobe.engine.keyring import Keyring
from netprobe.model.check import Check
from netprobe.probes.observation import Observation

DriverFunction = Callable[[Check, Clock, Keyring, random.Random], Awaitable[Observation]]
"""Asks once; the keys are those of the plan, the random source numbers flows and sessions."""


async def exchange_packets(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Send packets that the asker built; the module is loaded when the first ones come."""
    from netprobe.engine.drivers import packets  # noqa: PLC0415 - memory on every node

    return await packets.exchange_packets(check, clock, keys, rng)


DRIVERS: dict[str, DriverFunction] = {
    "drops": find_drops,
    "firewalk": walk_firewall,
    "idle": wait_idle,
    "packets": exchange_packets,
    "pmtu": search_pmtu,
    "ports": ask_ports,
    "trace": trace_route,
}
