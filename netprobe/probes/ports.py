"""``ports``: verdicts on many doors of many addresses in one question.

Reads the options ``tcp`` and ``udp`` (``80,443,8000-8010``), ``sctp`` (asked where the kernel has it),
``agents`` (UDP ports where agents answer, who believe only a keyed request), ``icmp`` (``1``: an echo of each
address, too) and ``also`` (further addresses beside the target's, with commas). The answer is one ``Reached``
(or ``TimedOut`` where nothing answered) whose facts hold the verdicts, as :func:`write_facts` and
:func:`read_facts` say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict

OPTIONS = ("tcp", "udp", "agents", "icmp", "also")
"""What ``Probe.options`` may hold."""
MAX_PAIRS = 4096
"""Addresses times doors of one question."""


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    if probe.option("icmp") not in {"", "1"}:
        raise InputError(f"{probe.option('icmp')!r} is not 1", where="options.icmp")
    doors = sum(len(ports_of(probe, transport)) for transport in (*PORTED, Transport.SCTP))
    doors += len(agent_ports_of(probe)) + asks_echo(probe)
    addresses = also_of(probe)
    if not doors:
        raise InputError("neither tcp nor udp names a port", where="options")
    if doors * (1 + len(addresses)) > MAX_PAIRS:
        raise InputError(f"more than {MAX_PAIRS} pairs of address and port", where="options")
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise InputError(f"{address!r} is no IP address", where="options.also") from error


def addresses_of(check: Check) -> tuple[str, ...]:
    """Every address that *check* asks."""
    return (check.target.address, *also_of(check.probe))


def also_of(probe: Probe) -> tuple[str, ...]:
    """The addresses asked beside the target's."""
    return tuple(filter(None, probe.option("also").split(",")))


def ports_of(probe: Probe, transport: Transport) -> tuple[int, ...]:
    """The ports asked of *transport*; :class:`InputError` where they are none."""
    return tuple(read_port_list(probe.option(transport), where=f"options.{transport}"))


def agent_ports_of(probe: Probe) -> tuple[int, ...]:
    """The UDP ports at which agents are asked; :class:`InputError` where they are none."""
    return tuple(read_port_list(probe.option("agents"), where="options.agents"))


def asks_echo(probe: Probe) -> bool:
    """Whether each address is asked for an echo, too."""
    return probe.option("icmp") == "1"


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
            raise InputError(f"{part!r} is no port", where=where) from error
        if not lowest <= low <= high <= 65_535:
            raise InputError(f"{part!r} is not within {lowest}–65535", where=where)
        yield from range(low, high + 1)


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
            raise RemoteFormatError(f"ports: {name[:80]!r} is no verdict") from error
