"""Opens the sockets of a sweep, and reserves its source ports."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import secrets
import socket
from dataclasses import dataclass

import numpy as np

from netprobe.engine.sweep.bpf import (
    AnswerFilter,
    attach,
    icmp_filter,
    syn_filter,
)
from netprobe.engine.sweep.mmsg import SO_RXQ_OVFL, SO_TIMESTAMPNS, socket_names
from netprobe.errors import SystemRefusedError
from netprobe.wire.batch import Rows, address_words, is_mapped, map_v4

SYN_PORTS = 8
"""Source ports of a SYN sweep: each round uses the next, so that a retry is a new flow."""
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 * 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.connect.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
_LIBC.getsockname.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3


@dataclass(frozen=True, slots=True)
class ReservedPorts:
    """TCP source ports that are reserved for us.

    They are bound but not listening: the kernel answers a SYN-ACK with RST (RFC 9293 section 3.10.7.1), so no
    connection stays half-open on the target.
    """

    first: int
    holders: tuple[socket.socket, ...]

    def close(self) -> None:
        """Release the ports."""
        for holder in self.holders:
            holder.close()


def open_icmp(marks: AnswerFilter, *, v6: bool) -> socket.socket:
    """A raw ICMP socket that receives only answers to us."""
    opened = _open(socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP, v6=v6)
    attach(opened, icmp_filter(marks, v6=v6))
    return opened


def open_syn(marks: AnswerFilter, *, v6: bool) -> socket.socket:
    """A raw TCP socket that receives only answers to our SYNs."""
    opened = _open(socket.SOCK_RAW, socket.IPPROTO_TCP, v6=v6)
    attach(opened, syn_filter(marks, v6=v6))
    return opened


def open_udp(*, v6: bool) -> socket.socket:
    """A UDP socket on a separate port."""
    opened = _open(socket.SOCK_DGRAM, socket.IPPROTO_UDP, v6=v6)
    if v6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind(("", 0))
    return opened


def open_ping(*, v6: bool) -> socket.socket:
    """An unprivileged ICMP socket (``net.ipv4.ping_group_range``); its port is the echo identifier.

    It receives only replies to its own echoes, so a rejection looks like silence.
    """
    opened = _open(socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP, v6=v6)
    opened.bind(("", 0))
    return opened


def reserve_ports(count: int = SYN_PORTS) -> ReservedPorts:
    """Reserve *count* consecutive TCP ports of both families."""
    for _ in range(64):
        first = 33_000 + secrets.randbelow(27_000)
        with contextlib.ExitStack() as taken:
            try:
                holders = tuple(taken.enter_context(_reserve(port)) for port in range(first, first + count))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise SystemRefusedError(f"cannot reserve TCP ports: {error.strerror}") from error
            taken.pop_all()
            return ReservedPorts(first, holders)
    raise SystemRefusedError(f"there are not {count} consecutive free TCP ports")


def find_sources(targets: Rows) -> Rows:
    """The source address of this machine per target; the unspecified address if there is no route.

    Equal targets cost least next to each other.
    """
    high, low = address_words(targets)
    begins = np.append(True, (high[1:] != high[:-1]) | (low[1:] != low[:-1]))[: len(targets)]
    found: Rows = _find_each_once(targets[begins])[np.cumsum(begins) - 1]
    return found


def _find_each_once(targets: Rows) -> Rows:
    words = np.stack(address_words(targets))
    order = np.lexsort(words)
    is_new = np.append(True, (np.diff(words[:, order]) != 0).any(axis=0))[: len(order)]
    unique = targets[order[is_new]]
    v4 = is_mapped(unique)
    sources = np.zeros_like(unique)
    for v6, rows in ((False, np.nonzero(v4)[0]), (True, np.nonzero(~v4)[0])):
        if len(rows):
            sources[rows] = _find_sources(unique[rows], v6=v6)
    found = np.empty_like(targets)
    found[order] = sources[np.cumsum(is_new) - 1]
    return found


def _find_sources(targets: Rows, *, v6: bool) -> Rows:
    """Get the kernel's choice by connecting one datagram socket to each target in turn; nothing is sent.

    In between, the socket is connected to ``AF_UNSPEC``, or it would keep its first address (connect(2)).
    """
    names = socket_names(targets, np.full(len(targets), 9, dtype=np.uint16), v6=v6)
    local_names, unspecified = np.zeros_like(names), np.zeros_like(names[0])
    width, size = names.shape[1], ctypes.c_uint(names.shape[1])
    name_at, local_at, unspecified_at = names.ctypes.data, local_names.ctypes.data, unspecified.ctypes.data
    with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for at in range(0, width * len(names), width):
            if not _LIBC.connect(probe.fileno(), name_at + at, width):
                size.value = width
                _LIBC.getsockname(probe.fileno(), local_at + at, ctypes.byref(size))
                _LIBC.connect(probe.fileno(), unspecified_at, width)
    return local_names[:, 8:24] if v6 else map_v4(local_names[:, 4:8])


def _open(kind: int, protocol: int, *, v6: bool) -> socket.socket:
    family = socket.AF_INET6 if v6 else socket.AF_INET
    try:
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        needs = " (a raw socket needs the NET_RAW capability)" if kind == socket.SOCK_RAW else ""
        raise SystemRefusedError(f"cannot open a socket: {error.strerror}{needs}") from error
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    with contextlib.suppress(PermissionError):  # more than rmem_max needs NET_ADMIN
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    # Probes are never fragmented and ignore a cached path MTU.
    if v6:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    return opened


def _reserve(port: int) -> socket.socket:
    # One dual-stack socket reserves the port for both families.
    family = socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        holder.bind(("", port))
    except OSError:
        holder.close()
        raise
    return holder
