"""Every kind of fault: one line each."""

from __future__ import annotations

from netprobe.lab.faults.base import FaultKind

_ALL: tuple[FaultKind, ...] = ()

KINDS: dict[str, FaultKind] = {kind.name: kind for kind in _ALL}
