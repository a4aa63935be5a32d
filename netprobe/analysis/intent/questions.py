"""Which questions an intent's cells need, and what the replies say about each cell. Pure.

Doors are asked in batches: addresses with equal doors in one question, each agent's questions in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.analysis.intent.judge import Sight
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.intent import Cell, Door, Protocol
from netprobe.model.names import AgentId
from netprobe.model.verdict import PortVerdict, Verdict
from netprobe.probes.ports import MAX_PAIRS, read_facts, write_ports
from netprobe.wire.messages import Declined, Reply

MAX_ADDRESSES = 128
"""Addresses of one question: its text must fit the bus's limit."""
SWEEP_NS = 20_000_000_000
_ASKABLE = frozenset(Protocol) - {Protocol.ESP}
_OURS = "our own machine"


@dataclass(frozen=True, slots=True)
class Ask:
    """One question and the cells that its answer decides."""

    check: Check
    cells: tuple[Cell, ...]


def find_unaskable(cells: Sequence[Cell]) -> dict[Cell, Sight]:
    """The cells that no probe can ask, and why."""
    return {
        cell: unseen(f"no probe speaks {cell.door.protocol.upper()}")
        for cell in cells
        if cell.door.protocol not in _ASKABLE
    }


def plan_asks(cells: Sequence[Cell], *, agent_port: int) -> dict[AgentId, tuple[Ask, ...]]:
    """The questions that *cells* need, by the agent that asks them; unaskable cells are left out."""
    by_source: dict[AgentId, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.door.protocol in _ASKABLE:
            by_source[cell.source].append(cell)
    return {source: tuple(_batches(source, asked, agent_port)) for source, asked in by_source.items()}


def _batches(source: AgentId, cells: list[Cell], agent_port: int) -> Iterator[Ask]:
    of_address: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        of_address[cell.address].append(cell)
    alike: dict[frozenset[Door], list[str]] = defaultdict(list)
    for address, asked in of_address.items():
        alike[frozenset(cell.door for cell in asked)].append(address)
    for doors, addresses in alike.items():
        ordered = sorted(doors)
        for low in range(0, len(ordered), MAX_PAIRS):
            part = ordered[low : low + MAX_PAIRS]
            step = max(1, min(MAX_ADDRESSES, MAX_PAIRS // len(part)))
            for first in range(0, len(addresses), step):
                yield _ask(source, addresses[first : first + step], part, of_address, agent_port)


def _ask(
    source: AgentId, addresses: list[str], doors: list[Door], of_address: dict[str, list[Cell]], port: int
) -> Ask:
    asked = set(doors)
    cells = tuple(cell for each in addresses for cell in of_address[each] if cell.door in asked)
    options = {
        "tcp": write_ports(door.port for door in doors if door.protocol is Protocol.TCP),
        "udp": write_ports(
            door.port for door in doors if door.protocol is Protocol.UDP and door.port != port
        ),
        "sctp": write_ports(door.port for door in doors if door.protocol is Protocol.SCTP),
        "agents": str(port) if Door(Protocol.UDP, port) in asked else "",
        "icmp": "1" if Door(Protocol.ICMP) in asked else "",
        "also": ",".join(addresses[1:]),
    }
    probe = Probe("ports", timeout_ns=SWEEP_NS, options=options_of(options))
    return Ask(make_check(source, addresses[0], probe), cells)


def options_of(options: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Those that say something, sorted."""
    return tuple(sorted((key, text) for key, text in options.items() if text))


def make_check(source: AgentId, address: str, probe: Probe) -> Check:
    """A question to an address, once."""
    target = Target(TargetKind.OUTSIDE, address, address)
    return Check(check_id(source, target, probe), source, target, probe, Layer.OUTSIDE)


def read_reply(ask: Ask, reply: Reply) -> dict[Cell, Sight]:
    """What *reply* says about the cells of *ask*; what cannot be read costs no other cell."""
    if isinstance(reply, Declined):
        return dict.fromkeys(ask.cells, unseen(f"not asked: {reply.reason}"))
    facts = reply.details[0].facts if reply.details else ()
    try:
        told = {(one.address, str(one.transport), one.port): one for one in read_facts(facts)}
    except RemoteFormatError as error:
        return dict.fromkeys(ask.cells, unseen(f"the agent's answer cannot be read: {error}"))
    sights = {}
    for cell in ask.cells:
        one = told.get((cell.address, str(cell.door.protocol), cell.door.port))
        sights[cell] = _sight_of(cell, one) if one else unseen("the agent said nothing of this port")
    return sights


def _sight_of(cell: Cell, one: PortVerdict) -> Sight:
    """A verdict as a sight; an agent's door opened by another agent is nobody's door."""
    if one.verdict is Verdict.OPEN and one.reason and cell.target.endswith(("/pod", "/host")):
        name, node = one.reason, cell.target.rpartition("/")[0]
        if name.rpartition("/")[0] != node:
            return Sight(Verdict.UNKNOWN, reason=f"{name} answered at this address instead")
    is_ours = one.verdict is Verdict.UNKNOWN and one.reason.startswith(_OURS)
    return Sight(
        one.verdict, one.sender, one.reason, is_witnessed=one.verdict is Verdict.FILTERED,
        was_asked=not is_ours,
    )  # fmt: skip


def unseen(reason: str) -> Sight:
    """A cell that nobody asked, and why."""
    return Sight(Verdict.UNKNOWN, reason=reason, was_asked=False)
