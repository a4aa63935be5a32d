"""What this process may do, found by trying: nothing is sent."""

from __future__ import annotations

import socket
from collections.abc import Callable

from netprobe.engine.sweep import sockets
from netprobe.engine.sweep.filters import Marks
from netprobe.errors import SurroundingsError


def find_capabilities() -> tuple[str, ...]:
    """Words for an agent's health report, best first.

    ``raw-icmp`` and ``raw-syn`` need NET_RAW; ``dgram-icmp`` needs our group within
    ``net.ipv4.ping_group_range``; ``udp`` and ``connect`` are everybody's.
    """
    marks = Marks(identifier=1)
    tries: dict[str, Callable[[], socket.socket]] = {
        "raw-icmp": lambda: sockets.open_icmp(marks, v6=False),
        "raw-syn": lambda: sockets.open_syn(marks, v6=False),
        "dgram-icmp": lambda: sockets.open_ping(v6=False),
    }
    return (*(word for word, opener in tries.items() if _works(opener)), "udp", "connect")


def _works(opener: Callable[[], socket.socket]) -> bool:
    try:
        opener().close()
    except (SurroundingsError, OSError):
        return False
    return True
