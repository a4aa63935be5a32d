"""``ports``: verdicts on many ports of many addresses in one question.

Reads the options ``tcp`` and ``udp`` (``80,443,8000-8010``), ``sctp`` (asked where the kernel has it),
``agents`` (UDP ports where agents answer, who believe only a keyed request), ``icmp`` (``1``: an echo, too)
and ``also`` (further addresses beside the target's, with commas). What is said once is asked of every
address; entries with ``;`` between them are one for each address. ``tries`` is how many silences are a
verdict on a host that refuses nothing (3). The answer is one ``Reached`` (or ``TimedOut`` where nothing
answered) whose values hold the verdicts, as :func:`write_values` and :func:`read_verdicts` say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.wire import previous_build

MAX_PAIRS = 4096
"""Pairs of address and port in one question."""
DEFAULT_TRIES, _MOST_TRIES = 3, 9
_NUMBERED = (*PORTED, Transport.SCTP)
_NOBODY = "-"


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


def write_port_targets(targets: Sequence[PortTargets]) -> dict[str, str]:
    """The options that carry *targets*, beside the first one's address."""
    options = {"also": ",".join(one.address for one in targets[1:])}
    for transport in _NUMBERED:
        options[str(transport)] = _join([write_ports(one.of(transport)) for one in targets])
    options["agents"] = _join([write_ports(one.agents) for one in targets])
    options["icmp"] = _join(["1" if one.icmp else "" for one in targets])
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


def write_facts(verdicts: Iterable[PortVerdict]) -> tuple[tuple[str, Prose], ...]:
    """Verdicts for people, and for builds that read no values (``wire.previous_build``)."""
    return tuple(
        (previous_build.write_port(each[0]), Prose(write_ports(one.port for one in each)))
        for each in _group(verdicts)
    )


def write_values(verdicts: Iterable[PortVerdict]) -> tuple[str, ...]:
    """Verdicts for programs, ports that are alike in all else joined.

    A value is ``ADDRESS TRANSPORT VERDICT PORTS`` and then, where there is more to say: ``SENDER TYPE CODE``
    of a rejection, the agent behind an open port, or ``CODE MILLISECONDS WHO DETAIL`` of a reason, where an
    empty WHO is ``-``.
    """
    return tuple(
        " ".join(filter(None, (_head(each[0]), write_ports(one.port for one in each), _tail(each[0]))))
        for each in _group(verdicts)
    )


def _group(verdicts: Iterable[PortVerdict]) -> Iterable[list[PortVerdict]]:
    """Verdicts that differ only in their port, together."""
    grouped: dict[PortVerdict, list[PortVerdict]] = {}
    for one in verdicts:
        grouped.setdefault(replace(one, port=0), []).append(one)
    return grouped.values()


def _head(one: PortVerdict) -> str:
    return f"{one.address} {one.transport} {one.verdict}"


def _tail(one: PortVerdict) -> str:
    if one.verdict is Verdict.REJECTED:
        return f"{one.sender} {one.icmp_type} {one.icmp_code}"
    if one.reason is not None:
        return (
            f"{one.reason.code} {one.reason.for_ms} {one.reason.who or _NOBODY} {one.reason.detail}".rstrip()
        )
    return one.answered_by


def read_verdicts(values: Iterable[str], facts: Iterable[tuple[str, Prose]] = ()) -> Iterator[PortVerdict]:
    """The verdicts of an answer again; without *values* those that a build of before wrote as *facts*.

    :class:`RemoteFormatError` for what is none.
    """
    lines = tuple(values) or previous_build.read_ports(facts)
    for line in lines:
        try:
            yield from _read_value(line)
        except (ValueError, InputError) as error:
            raise RemoteFormatError(f"ports: {line[:80]!r} is not a verdict") from error


def _read_value(line: str) -> Iterator[PortVerdict]:
    address, transport, verdict, ports, *rest = line.split(" ", 4)
    tail, word = rest[0] if rest else "", Verdict(verdict)
    one = PortVerdict(address, Transport(transport), 0, word)
    if word is Verdict.REJECTED:
        sender, kind, code = tail.split(" ")
        one = replace(one, sender=sender, icmp_type=int(kind), icmp_code=int(code))
    elif word is Verdict.OPEN:
        one = replace(one, answered_by=tail)
    elif tail:
        one = replace(one, reason=_read_reason(tail))
    lowest = 0 if one.transport is Transport.ICMP else 1
    for port in read_port_list(ports, where="ports", lowest=lowest):
        yield replace(one, port=port)


def _read_reason(text: str) -> Reason:
    code, for_ms, who, *detail = text.split(" ", 3)
    return Reason(ReasonCode(code), "" if who == _NOBODY else who, int(for_ms), Prose("".join(detail)))


KIND = ProbeKind(
    name="ports",
    driver=PacketDriver(),
    validate=validate,
    options=("tcp", "udp", "sctp", "agents", "icmp", "also", "tries"),
)
