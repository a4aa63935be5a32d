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

DRIVERS: dict[str, DriverFunction] = {
    "drops": find_drops,
    "firewalk": walk_firewall,
    "idle": wait_idle,
    "pmtu": search_pmtu,
    "ports": ask_ports,
    "trace": trace_route,
}
