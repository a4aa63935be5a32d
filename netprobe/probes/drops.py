"""``drops``: where many ports of many addresses are dropped, walked side by side (see ``firewalk`` for one).

Reads ``also`` (further addresses beside the target's, with commas) and, with one entry per address and ``;``
between them, ``tcp`` and ``udp`` (the silent ports) and ``witness`` (the control probe, under its first name,
which agents of earlier builds know: what passes to this address: ``icmp``, ``tcp/443``, ``udp/53``, or
nothing), and ``hops`` (the largest TTL, default 16). The answer's values are the drops, as
:func:`write_drops` and :func:`read_drops` say.

A drop lies between the last hop that still named the port and the first that named the control probe and
not the port: by the first as it forwards, or by the second as it comes in. A TTL cannot tell these apart
from outside (Goldsmith and Schiffman, 1998).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe
from netprobe.model.verdict import PORTED, Transport
from netprobe.probes.firewalk import Firewalk
from netprobe.probes.hops import Ended, Expired
from netprobe.probes.kind import PacketDriver, ProbeKind
from netprobe.probes.observation import Facts, make_facts
from netprobe.probes.ports import MAX_PAIRS, also_of, check_also, entries_of, read_port_list, write_ports

DEFAULT_HOPS = 16
_MOST_HOPS = 32
_NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Suspects:
    """The silent ports of one address, and what is known to pass to it."""

    address: str
    ports: tuple[tuple[Transport, int], ...]
    control: tuple[Transport, int] | None = None


@dataclass(frozen=True, slots=True, order=True)
class DropHop:
    """Who stands *ttl* hops away; 0 is this host, and the name may be unknown."""

    ttl: int
    address: str = ""

    def __str__(self) -> str:
        if not self.ttl:
            return "this host"
        return f"hop {self.ttl} ({self.address})" if self.address else f"hop {self.ttl}"


@dataclass(frozen=True, slots=True)
class DropLocation:
    """Between which two hops packets to a port are lost; *after* is None where that cannot be known."""

    address: str
    transport: Transport
    port: int
    before: DropHop
    after: DropHop | None

    @property
    def sentence(self) -> str:
        """Where, for people."""
        before, after = self.before, self.after
        if after is None:
            return f"behind {before}, but by whom cannot be known: no control probe comes further"
        if after.address == self.address:
            if not before.ttl:
                return "by the target itself, or by this host's own packet filter"
            return f"by {before} as it forwards, or by the target itself"
        if after.ttl > before.ttl + 1:
            return f"between {before} and {after}; the hops between say nothing"
        if not before.ttl:
            return f"by {after} as it comes in, or by this host's own packet filter"
        return f"between {before} and {after}: by the first as it forwards, or by the second as it comes in"


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_also(probe)
    count = sum(len(one.ports) for one in _suspects(probe, ("", *also_of(probe))))
    if not count:
        raise InputError("neither tcp nor udp names a port", where="options")
    if count > MAX_PAIRS:
        raise InputError(f"more than {MAX_PAIRS} pairs of address and port", where="options")
    hops = probe.option("hops", str(DEFAULT_HOPS))
    if not hops.isdecimal() or not 1 <= int(hops) <= _MOST_HOPS:
        raise InputError(f"{hops!r} is not within 1–{_MOST_HOPS}", where="options.hops")


def suspects_of(check: Check) -> tuple[Suspects, ...]:
    """What *check* suspects, address by address."""
    return tuple(_suspects(check.probe, (check.target.address, *also_of(check.probe))))


def write_suspects(suspects: Iterable[Suspects]) -> dict[str, str]:
    """The options that say *suspects*, beside the first one's address."""
    listed = tuple(suspects)
    options = {"also": ",".join(one.address for one in listed[1:])}
    for transport in PORTED:
        ports = [write_ports(port for kind, port in one.ports if kind is transport) for one in listed]
        options[str(transport)] = ";".join(ports) if any(ports) else ""
    controls = [_write_control(one.control) for one in listed]
    options["witness"] = ";".join(controls) if any(controls) else ""
    return options


def _write_control(control: tuple[Transport, int] | None) -> str:
    if control is None:
        return ""
    transport, port = control
    return f"{transport}/{port}" if port else str(transport)


def _suspects(probe: Probe, addresses: tuple[str, ...]) -> Iterator[Suspects]:
    entries = {key: entries_of(probe, key, len(addresses)) for key in (*PORTED, "witness")}
    for index, address in enumerate(addresses):
        ports = tuple(
            (transport, port)
            for transport in PORTED
            for port in read_port_list(entries[transport][index], where=f"options.{transport}")
        )
        yield Suspects(address, ports, _read_control(entries["witness"][index]))


def _read_control(text: str) -> tuple[Transport, int] | None:
    if not text:
        return None
    name, _, port = text.partition("/")
    try:
        transport = Transport(name)
    except ValueError as error:
        raise InputError(f"{text!r} is not a control probe", where="options.witness") from error
    if transport is Transport.ICMP:
        return transport, 0
    if transport not in PORTED:
        raise InputError(f"{text!r}: no walk sends {transport}", where="options.witness")
    (number,) = tuple(read_port_list(port, where="options.witness")) or (0,)
    if not number:
        raise InputError(f"{text!r} names no port", where="options.witness")
    return transport, number


def find_drop(walked: Firewalk, address: str, transport: Transport) -> DropLocation | None:
    """What the firewalk of one port found; None where the walk was not over, or the port is not dropped."""
    places = walked.places
    if walked.whole is None or any(isinstance(one.suspect, Ended) for one in (walked.whole, *places)):
        return None
    last = max((one.ttl for one in places if one.suspect is not None), default=0)
    before = DropHop(last, _who(places[last - 1].suspect, address) if last else "")
    lost = next((one for one in places if one.ttl > last and one.has_lost_suspect), None)
    after = DropHop(lost.ttl, _who(lost.control, address)) if lost else None
    return DropLocation(address, transport, walked.spec.port, before, after)


def _who(heard: Expired | Ended | None, address: str) -> str:
    """Who spoke: a router, or the target at *address*."""
    return heard.sender if isinstance(heard, Expired) else address


def write_drops(drops: Iterable[DropLocation]) -> tuple[str, ...]:
    """Drops as values: ``ADDRESS TRANSPORT BEFORE AFTER PORTS``, ports lost at the same place joined."""
    grouped: dict[str, list[int]] = {}
    for one in drops:
        place = " ".join(_write_hop(hop) for hop in (one.before, one.after))
        grouped.setdefault(f"{one.address} {one.transport} {place}", []).append(one.port)
    return tuple(f"{place} {write_ports(ports)}" for place, ports in grouped.items())


def _write_hop(hop: DropHop | None) -> str:
    return _NOBODY if hop is None else f"{hop.ttl}@{hop.address}"


def write_facts(drops: Iterable[DropLocation]) -> Facts:
    """The same for people, and for builds that read no values: the ports apart."""
    return make_facts(value.rpartition(" ")[::2] for value in write_drops(drops))


def read_drops(values: Iterable[str], facts: Facts = ()) -> Iterator[DropLocation]:
    """The drops of an answer again; without *values* those that a build of before wrote as *facts*.

    :class:`RemoteFormatError` for what is none.
    """
    for value in tuple(values) or (f"{place} {ports}" for place, ports in facts):
        try:
            address, transport, before, after, ports = value.split(" ")
            first, last = _read_hop(before), None if after == _NOBODY else _read_hop(after)
            for port in read_port_list(ports, where="ports"):
                yield DropLocation(address, Transport(transport), port, first, last)
        except (ValueError, InputError) as error:
            raise RemoteFormatError(f"drops: {value[:80]!r} is not the place of a drop") from error


def _read_hop(text: str) -> DropHop:
    ttl, _, address = text.partition("@")
    return DropHop(int(ttl), address)


KIND = ProbeKind(
    name="drops",
    driver=PacketDriver(),
    validate=validate,
    options=("also", "tcp", "udp", "witness", "hops"),
)
