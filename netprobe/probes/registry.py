"""Every probe kind by name: adding one is a file in this package and a line here.

Rule: a module is imported when its kind is first needed, so an agent loads only what its plan asks, and help
that lists the names loads nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, cast

from netprobe.errors import InputError
from netprobe.model.check import Probe

if TYPE_CHECKING:
    from netprobe.probes.kind import ProbeKind

KINDS: dict[str, str] = {
    "dns": "netprobe.probes.dns",
    "drops": "netprobe.probes.drops",
    "firewalk": "netprobe.probes.firewalk",
    "grpc": "netprobe.probes.grpc",
    "http": "netprobe.probes.http",
    "icmp": "netprobe.probes.icmp",
    "idle": "netprobe.probes.idle",
    "packets": "netprobe.probes.packets",
    "pmtu": "netprobe.probes.pmtu",
    "ports": "netprobe.probes.ports",
    "tcp": "netprobe.probes.tcp",
    "tls": "netprobe.probes.tls",
    "trace": "netprobe.probes.trace",
    "udp": "netprobe.probes.udp",
}
"""Each name's module, which ends with ``KIND``."""


def find_kind(name: str) -> ProbeKind | None:
    """The kind of that name, or None where this build has none (a newer build may)."""
    module = KINDS.get(name)
    return _load(module) if module else None


def get_kind(name: str, *, where: str = "probe.kind") -> ProbeKind:
    """The kind of that name; :class:`InputError` where this build has none."""
    kind = find_kind(name)
    if kind is None:
        known = ", ".join(sorted(KINDS))
        raise InputError(f"unknown probe kind {name!r}; known are {known}", where=where)
    return kind


def iter_kinds() -> Iterator[ProbeKind]:
    """Every kind, by name; imports them all."""
    return (_load(KINDS[name]) for name in sorted(KINDS))


@cache
def _load(module: str) -> ProbeKind:
    return cast("ProbeKind", importlib.import_module(module).KIND)


def validate(probe: Probe, *, where: str = "probe") -> None:
    """Refuse what cannot be asked, in one line that names the field.

    >>> validate(Probe("tcp", port=70_000))
    Traceback (most recent call last):
        ...
    netprobe.errors.InputError: probe.port: port 70000 is not within 1–65535
    """
    kind = get_kind(probe.kind, where=f"{where}.kind")
    if not 0 < probe.timeout_ns <= kind.longest_timeout_ns:
        bounds = f"1 ns–{kind.longest_timeout_ns // 1_000_000_000} s"
        raise InputError(f"{probe.timeout_ns / 1e9:g} s is not within {bounds}", where=f"{where}.timeout_ns")
    if unknown := sorted({key for key, _ in probe.options} - set(kind.options)):
        known = f"; known are {', '.join(sorted(kind.options))}" if kind.options else ""
        raise InputError(f"{probe.kind} has no such option{known}", where=f"{where}.options.{unknown[0]}")
    try:
        kind.validate(probe)
    except InputError as error:
        raise InputError(error.what, where=f"{where}.{error.where}") from error
