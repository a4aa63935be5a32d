"""How an agent may ask where it runs: words that it tells beside the kinds it knows."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """What was found out by trying."""

    ICMP_RAW = "icmp-raw"
    """Echoes through raw sockets: NET_RAW."""
    ICMP_PING_SOCKET = "icmp-ping-socket"
    """Echoes through unprivileged sockets: our group is within ``net.ipv4.ping_group_range``."""
    ICMP_NONE = "icmp-none"
    """No echoes."""
    SYN_RAW = "syn-raw"
    """Ports are asked with single SYNs: NET_RAW."""
    CONNECT = "connect"
    """Ports are asked by connecting, which everybody may."""
