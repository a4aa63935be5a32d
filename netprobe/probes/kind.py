"""What the rest of netprobe must know about a probe kind: ``KIND`` at the end of the kind's module.

Rule: data and functions of the kind only. The engine, the command line, the SSH fallback and the analysis
read it, so a new kind needs its file and a line in :mod:`netprobe.probes.registry`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.units import SECOND_NS
from netprobe.probes.net import Net
from netprobe.probes.observation import Observation


@dataclass(frozen=True, slots=True)
class EchoDriver:
    """One packet out, one back: the engine builds, sends and matches them in batches on shared sockets.

    Needs an entry in ``netprobe.engine.engine.Engine``, which owns those sockets.
    """


@dataclass(frozen=True, slots=True)
class StreamDriver:
    """A conversation over :class:`Net`: the kind's own function asks, the engine supplies the sockets."""

    ask: Callable[[Check, Net], Awaitable[Observation]]


@dataclass(frozen=True, slots=True)
class PacketDriver:
    """A sans-IO machine; the engine's function that runs it is in ``netprobe.engine.drivers.registry``."""


Driver: TypeAlias = EchoDriver | StreamDriver | PacketDriver


class VectorColumn(StrEnum):
    """Which column of the layered vector a check of this kind fills."""

    ICMP = "icmp"
    UDP = "udp"
    TCP = "tcp"
    DNS = "dns"
    OTHER = "other"


def always(options: Mapping[str, str]) -> bool:
    """Whatever the options say."""
    del options
    return True


def never(options: Mapping[str, str]) -> bool:
    """Whatever the options say, no."""
    del options
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeKind:
    """One kind of question."""

    name: str
    """``Probe.kind``."""
    driver: Driver
    validate: Callable[[Probe], None]
    """Raises :class:`netprobe.errors.InputError` for parameters that cannot be asked."""
    options: tuple[str, ...] = ()
    """The keys that ``Probe.options`` may hold."""
    default_timeout_ns: int = 2 * SECOND_NS
    """For a question on demand that names none."""
    longest_timeout_ns: int = 60 * SECOND_NS
    has_port: Callable[[Mapping[str, str]], bool] = always
    """Whether a question with these options has a destination port."""
    asks_agent_port: bool = False
    """Whether an agent or node is asked at the agents' port unless another one is given."""
    options_at_agents: tuple[tuple[str, str], ...] = ()
    """Options of an on-demand question to an agent or node at the agents' port, unless others are given."""
    agent_port_option: str = ""
    """An option that means the agents' port where an agent or node is asked and the option is not given."""
    asks_service_name: bool = False
    """Whether ``Probe.name`` means a service of the target's cluster unless another name is given."""
    default_for: tuple[TargetKind, ...] = ()
    """Targets that are asked by this kind unless another one is given."""
    host_tools: tuple[str, ...] = ()
    """Tools that can ask this from a host without an agent (over SSH), the better one first."""
    column: VectorColumn = VectorColumn.OTHER
