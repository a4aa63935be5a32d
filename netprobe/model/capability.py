"""Capabilities: the ways in which an agent may probe where it runs, reported beside its probe kinds."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """One way to probe, found by trying it."""

    ICMP_RAW = "icmp-raw"
    """ICMP echo through raw sockets (needs NET_RAW)."""
    ICMP_PING_SOCKET = "icmp-ping-socket"
    """ICMP echo through unprivileged sockets (our group is in ``net.ipv4.ping_group_range``)."""
    ICMP_NONE = "icmp-none"
    """No ICMP echo."""
    SYN_RAW = "syn-raw"
    """TCP ports are probed with single SYNs (needs NET_RAW)."""
    PAIR_KEYS = "pair-keys"
    """Packets are sealed with a key of asker and responder; agents without it know only one of the fleet."""
    CONNECT = "connect"
    """TCP ports are probed by connecting, which needs no privilege."""
