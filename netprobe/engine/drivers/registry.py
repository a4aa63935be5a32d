"""Probe kind → function that drives its sans-IO machine over sockets (kinds with ``PacketDriver``).

Rule: a module is imported when its kind is first asked, so an agent whose plan has none of them loads none.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Awaitable, Callable
from functools import cache
from typing import cast

from netprobe.engine.clock import Clock
from netprobe.engine.keyring import Keyring
from netprobe.model.check import Check
from netprobe.probes.observation import Observation

DriverFunction = Callable[[Check, Clock, Keyring, random.Random], Awaitable[Observation]]
"""Asks once; the keys are those of the plan, the random source numbers flows and sessions."""

DRIVERS: dict[str, str] = {
    "drops": "netprobe.engine.drivers.drops:find_drops",
    "firewalk": "netprobe.engine.drivers.trace:walk_firewall",
    "idle": "netprobe.engine.drivers.idle:wait_idle",
    "packets": "netprobe.engine.drivers.packets:exchange_packets",
    "pmtu": "netprobe.engine.drivers.pmtu:search_pmtu",
    "ports": "netprobe.engine.drivers.ports:ask_ports",
    "trace": "netprobe.engine.drivers.trace:trace_route",
}
"""Each kind's module and, behind the colon, its function."""


@cache
def find_driver(kind: str) -> DriverFunction:
    """The function that drives *kind*; :class:`KeyError` where there is none."""
    module, _, name = DRIVERS[kind].partition(":")
    return cast("DriverFunction", getattr(importlib.import_module(module), name))
