"""Every probe kind: adding one is a file in this room and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable
from typing import Protocol, cast

from netprobe.errors import InputError
from netprobe.model.check import Check, Probe
from netprobe.probes.net import Net
from netprobe.probes.observation import Observation

ECHO_KINDS = {
    "icmp": "netprobe.probes.icmp",
    "udp": "netprobe.probes.udp",
}
"""Small questions that share a socket: the engine builds, sends and matches them by the thousand."""

TALKING_KINDS = {
    "dns": "netprobe.probes.dns",
    "grpc": "netprobe.probes.grpc",
    "http": "netprobe.probes.http",
    "tcp": "netprobe.probes.tcp",
    "tls": "netprobe.probes.tls",
}
"""Conversations: each brings ``ask(check, net)``."""

PACKET_KINDS = {
    "drops": "netprobe.probes.drops",
    "firewalk": "netprobe.probes.firewalk",
    "idle": "netprobe.probes.idle",
    "pmtu": "netprobe.probes.pmtu",
    "ports": "netprobe.probes.ports",
    "trace": "netprobe.probes.trace",
}
"""Conversations of single packets: each is a machine without I/O, for which the engine has a shell."""

KINDS = ECHO_KINDS | TALKING_KINDS | PACKET_KINDS

MAX_TIMEOUT_NS = 60_000_000_000
MAX_PATIENT_NS = {"idle": 7_200_000_000_000, "tcp": 90_000_000_000}
"""Kinds that take longer by their nature; a connection is tried for a minute and more (RFC 6298)."""


class Kind(Protocol):
    """What every kind's file offers."""

    OPTIONS: tuple[str, ...]
    """What ``Probe.options`` may hold."""

    def validate(self, probe: Probe) -> None:
        """Raise :class:`InputError` for parameters that cannot be asked."""


class StreamKind(Kind, Protocol):
    """What a conversation's file offers."""

    def ask(self, check: Check, net: Net) -> Awaitable[Observation]:
        """Ask once."""


def validate(probe: Probe, *, where: str = "probe") -> None:
    """Refuse what cannot be asked, in one line that names the field.

    >>> validate(Probe("tcp", port=70_000))
    Traceback (most recent call last):
        ...
    netprobe.errors.InputError: probe.port: port 70000 is not within 1–65535
    """
    if probe.kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise InputError(f"unknown probe kind {probe.kind!r}; known are {known}", where=f"{where}.kind")
    longest_ns = MAX_PATIENT_NS.get(probe.kind, MAX_TIMEOUT_NS)
    if not 0 < probe.timeout_ns <= longest_ns:
        bounds = f"1 ns–{longest_ns // 1_000_000_000} s"
        raise InputError(f"{probe.timeout_ns / 1e9:g} s is not within {bounds}", where=f"{where}.timeout_ns")
    kind = cast("Kind", importlib.import_module(KINDS[probe.kind]))
    if unknown := sorted({key for key, _ in probe.options} - set(kind.OPTIONS)):
        known = f"; known are {', '.join(sorted(kind.OPTIONS))}" if kind.OPTIONS else ""
        raise InputError(f"{probe.kind} has no such option{known}", where=f"{where}.options.{unknown[0]}")
    try:
        kind.validate(probe)
    except InputError as error:
        raise InputError(error.what, where=f"{where}.{error.where}") from error


def find_talking(kind: str) -> StreamKind | None:
    """The conversation of that name, or None where the engine has a part of its own for the kind."""
    module = TALKING_KINDS.get(kind)
    return cast("StreamKind", importlib.import_module(module)) if module else None
