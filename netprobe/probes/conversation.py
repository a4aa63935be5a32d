"""Events and commands that all sans-IO probes share: begin, wait and end.

Rule: no socket, no clock, no randomness in here. Time arrives inside events.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.errors import InputError
from netprobe.model.check import Probe
from netprobe.probes.observation import Observation

DEFAULT_PATIENCE_MS = 500


@dataclass(frozen=True, slots=True)
class WakeAt:
    """A command: send :class:`Woke` at this time unless something else happens first."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Finish:
    """A command: it is over."""

    seen: Observation


@dataclass(frozen=True, slots=True)
class ProbeStarted:
    """An event: begin."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Woke:
    """An event: the time of the last :class:`WakeAt` has come."""

    at_ns: int


def patience_ms(probe: Probe, *, default: int = DEFAULT_PATIENCE_MS) -> int:
    """How long one packet may take: the option ``patience``."""
    text = probe.option("patience", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise InputError(f"{text!r} is not within 1–10000 ms", where="options.patience")
    return int(text)
