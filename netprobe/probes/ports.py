"""``ports``: verdicts on many ports of many addresses in one question.

Reads the options ``tcp`` and ``udp`` (``80,443,8000-8010``), ``sctp`` (asked where the kernel has it),
``agents`` (UDP ports where agents answer, who believe only a keyed request), ``icmp`` (``1``: an echo, too)
and ``also`` (further addresses beside the target's, with commas). What is said once is asked of every
address; entries with ``;`` between them are one for each address. ``tries`` is how many silences are a
verdict on a host that refuses nothing (3). The answer is one ``Reached`` (or ``TimedOut`` where nothing
answered) whose facts hold the verdicts, as :func:`write_facts` and :func:`read_facts` say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe
from netprobe.model.outcome import STOOD_STILL
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes.kind import PacketDriver, ProbeKind

MAX_PAIRS = 4096
"""Pairs of address and port in one question."""
DEFAULT_TRIES, _MOST_TRIES = 3, 9
LIMITED = "the host limits its answers, and time was over"
"""Why a door is ``unknown`` that stayed silent while its host could not be asked fast enough."""
FELL_SILENT = "the host had answered and then said nothing any more"
"""Why a door is ``unknown`` that was silent while everything else was, too."""
TOO_EARLY = "time was over"
"""The same where nothing of that is known."""


def is_undecided(reason: str) -> bool:
    """Whether a door is ``unknown`` for this *reason* only because the question ended too early."""
    return reason in {LIMITED, FELL_SILENT, TOO_EARLY} or reason.startswith(STOOD_STILL)


_NUMBERED = (*PORTED, Transport.SCTP)


@dataclass(frozen=True, slots=True)
class PortTargets:
    """What one address is asked for."""

    address: str
    ports: tuple[tuple[Transport, tuple[int, ...]], ...] = ()
    """TCP, UDP and SCTP, each at most once."""
    agents: tuple[int, ...] = ()
    icmp: bool = False

    def of(self, transport: Transport) -> tuple[int, ...]:
        """The ports of *transport*."""
        return dict(self.ports).get(transport, ())

    @property
    def count(self) -> int:
        """How many they are."""
        return sum(len(ports) for _, ports in self.ports) + len(self.agents) + self.icmp


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_also(probe)
    doors = sum(one.count for one in _doors(probe, ("", *also_of(probe))))
    if not doors:
        raise InputError("neither tcp nor udp names a port", where="options")
    if doors > MAX_PAIRS:
        raise InputError(f"more than {MAX_PAIRS} pairs of address and port", where="options")
    tries = probe.option("tries", str(DEFAULT_TRIES))
    if not tries.isdecimal() or not 1 <= int(tries) <= _MOST_TRIES:
        raise InputError(f"{tries!r} is not within 1–{_MOST_TRIES}", where="options.tries")


def addresses_of(check: Check) -> tuple[str, ...]:
    """Every address that *check* asks."""
    return (check.target.address, *also_of(check.probe))


def also_of(probe: Probe) -> tuple[str, ...]:
    """The addresses asked beside the target's."""
    return tuple(filter(None, probe.option("also").split(",")))


def check_also(probe: Probe) -> None:
    """Refuse further addresses that are none."""
    for address in also_of(probe):
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise InputError(f"{address!r} is not an IP address", where="options.also") from error


def port_targets_of(check: Check) -> tuple[PortTargets, ...]:
    """What *check* asks of each address; :class:`InputError` where it cannot be read."""
    return tuple(_doors(check.probe, addresses_of(check)))


def tries_of(probe: Probe) -> int:
    """How many silences are a verdict on a host that refuses nothing."""
    return int(probe.option("tries", str(DEFAULT_TRIES)))


def _doors(probe: Probe, addresses: tuple[str, ...]) -> Iterator[PortTargets]:
    keys = (*_NUMBERED, "agents", "icmp")
    entries = {key: entries_of(probe, key, len(addresses), for_all=True) for key in keys}
    read = cache(read_port_list_of)  # a thousand addresses are asked alike
    for index, address in enumerate(addresses):
        echo = entries["icmp"][index]
        if echo not in {"", "1"}:
            raise InputError(f"{echo!r} is not 1", where="options.icmp")
        ports = tuple((transport, read(entries[transport][index], transport)) for transport in _NUMBERED)
        yield PortTargets(address, ports, read(entries["agents"][index], "agents"), echo == "1")


def entries_of(probe: Probe, key: str, count: int, *, for_all: bool = False) -> list[str]:
    """The option *key*, one entry per address; with *for_all* a single one holds for all of them."""
    text = probe.option(key)
    entries = text.split(";") if text else [""] * count
    if for_all and len(entries) == 1:
        return entries * count
    if len(entries) != count:
        raise InputError(f"{len(entries)} entries for {count} addresses", where=f"options.{key}")
    return entries


def write_port_targets(doors: Sequence[PortTargets]) -> dict[str, str]:
    """The options that say *doors*, beside the first one's address."""
    options = {"also": ",".join(one.address for one in doors[1:])}
    for transport in _NUMBERED:
        options[str(transport)] = _join([write_ports(one.of(transport)) for one in doors])
    options["agents"] = _join([write_ports(one.agents) for one in doors])
    options["icmp"] = _join(["1" if one.icmp else "" for one in doors])
    return options


def _join(entries: list[str]) -> str:
    return entries[0] if len(set(entries)) == 1 else ";".join(entries)


def write_ports(ports: Iterable[int]) -> str:
    """Ports as text, neighbours joined.

    >>> write_ports([443, 80, 81, 82])
    '80-82,443'
    """
    runs: list[list[int]] = []
    for port in sorted(set(ports)):
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def read_port_list(text: str, *, where: str, lowest: int = 1) -> Iterator[int]:
    """Every port of ``80,443,8000-8010``; an :class:`InputError` naming *where* for what is none."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError as error:
            raise InputError(f"{part!r} is not a port number", where=where) from error
        if not lowest <= low <= high <= 65_535:
            raise InputError(f"{part!r} is not within {lowest}–65535", where=where)
        yield from range(low, high + 1)


def read_port_list_of(text: str, key: str) -> tuple[int, ...]:
    """The same as a tuple, of the option *key*."""
    return tuple(read_port_list(text, where=f"options.{key}"))


def write_facts(verdicts: Iterable[PortVerdict]) -> tuple[tuple[str, str], ...]:
    """Verdicts as facts: everything but the port is the name, ports with equal names are joined."""
    grouped: dict[str, list[int]] = {}
    for one in verdicts:
        name = f"{one.address} {one.transport} {one.verdict}"
        if one.verdict is Verdict.REJECTED:
            name += f" {one.sender} {one.icmp_type} {one.icmp_code}"
        elif one.reason:
            name += f" {one.reason}"
        grouped.setdefault(name, []).append(one.port)
    return tuple((name, write_ports(ports)) for name, ports in grouped.items())


def read_facts(facts: Iterable[tuple[str, str]]) -> Iterator[PortVerdict]:
    """The verdicts again; :class:`RemoteFormatError` for what is none."""
    for name, ports in facts:
        try:
            address, transport, verdict, *rest = name.split(" ", 3)
            told = rest[0] if rest else ""
            word = Verdict(verdict)
            sender, icmp_type, icmp_code, reason = "", None, None, told
            if word is Verdict.REJECTED:
                sender, kind, code = told.split(" ")
                icmp_type, icmp_code, reason = int(kind), int(code), ""
            lowest = 0 if transport == Transport.ICMP else 1
            for port in read_port_list(ports, where=name, lowest=lowest):
                yield PortVerdict(
                    address, Transport(transport), port, word, sender, icmp_type, icmp_code, reason
                )
        except (ValueError, InputError) as error:
            raise RemoteFormatError(f"ports: {name[:80]!r} is not a verdict") from error


KIND = ProbeKind(
    name="ports",
    driver=PacketDriver(),
    validate=validate,
    options=("tcp", "udp", "sctp", "agents", "icmp", "also", "tries"),
)
