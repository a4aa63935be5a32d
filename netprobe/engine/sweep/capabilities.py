"""What this process may do, found by trying: nothing is sent."""

from __future__ import annotations

import socket
from collections.abc import Callable

from netprobe.engine.capability import Capability
from netprobe.engine.sweep import sockets
from netprobe.engine.sweep.filters import Marks
from netprobe.errors import SurroundingsError


def find_capabilities() -> tuple[Capability, ...]:
    """How a sweep may ask here, best first; where echoes can go in both ways, the better one is told."""
    marks = Marks(identifier=1)
    echoes = _first(
        (Capability.ICMP_RAW, lambda: sockets.open_icmp(marks, v6=False)),
        (Capability.ICMP_PING_SOCKET, lambda: sockets.open_ping(v6=False)),
    )
    syns = _first((Capability.SYN_RAW, lambda: sockets.open_syn(marks, v6=False)))
    return (echoes or Capability.ICMP_NONE, *((syns,) if syns else ()), Capability.UDP, Capability.CONNECT)


def _first(*tries: tuple[Capability, Callable[[], socket.socket]]) -> Capability | None:
    return next((word for word, opener in tries if _works(opener)), None)


def _works(opener: Callable[[], socket.socket]) -> bool:
    try:
        opener().close()
    except (SurroundingsError, OSError):
        return False
    return True
