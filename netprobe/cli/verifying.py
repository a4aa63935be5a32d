"""Asks what an intent needs to know: doors in batches, the rest one by one, each agent in its own rate."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.analysis.intent.judge import Sight
from netprobe.bus.ask import Access, ask_check
from netprobe.errors import NetprobeError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.intent import Cell, Door, Protocol
from netprobe.model.names import AgentId
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.model.verdict import PortVerdict, Verdict
from netprobe.probes.ports import MAX_PAIRS, read_facts, write_ports
from netprobe.wire.messages import Declined

AT_ONCE = 8
MAX_SINGLES = 40
"""Questions one by one per agent; agents answer 60 questions a minute."""
MAX_ADDRESSES = 128
SWEEP_NS = 20_000_000_000
SINGLE_NS = 1_000_000_000
_BUS_S = 10.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One question and the cells that its answer decides."""

    check: Check
    cells: tuple[Cell, ...]


def plan_asks(cells: Sequence[Cell], *, agent_port: int) -> Iterator[Ask | Cell]:
    """The questions that *cells* need; a cell that cannot be asked comes back as itself."""
    by_source: dict[AgentId, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_source[cell.source].append(cell)
    for source, asked in by_source.items():
        singles = [cell for cell in asked if _is_single(cell, agent_port)]
        yield from (_single(cell) for cell in singles[:MAX_SINGLES])
        yield from singles[MAX_SINGLES:]
        yield from (cell for cell in asked if cell.door.protocol is Protocol.ESP)
        yield from _batches(source, [cell for cell in asked if not _is_single(cell, agent_port)])


def _is_single(cell: Cell, agent_port: int) -> bool:
    return cell.door.protocol is Protocol.ICMP or cell.door == Door(Protocol.UDP, agent_port)


def _single(cell: Cell) -> Ask:
    kind = TargetKind.AGENT if cell.target.endswith(("/pod", "/host")) else TargetKind.OUTSIDE
    target = Target(kind, cell.address, cell.target)
    probe = Probe(str(cell.door.protocol), port=cell.door.port, timeout_ns=SINGLE_NS)
    return Ask(_check(cell.source, target, probe, count=2), (cell,))


def _batches(source: AgentId, cells: list[Cell]) -> Iterator[Ask]:
    """Addresses with equal doors are asked together."""
    of_address: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.door.protocol is not Protocol.ESP:
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
                together = addresses[first : first + step]
                answered = tuple(
                    cell for each in together for cell in of_address[each] if cell.door in set(part)
                )
                yield Ask(_sweep(source, together, part), answered)


def _sweep(source: AgentId, addresses: list[str], doors: list[Door]) -> Check:
    options = {
        str(protocol): write_ports(door.port for door in doors if door.protocol is protocol)
        for protocol in (Protocol.TCP, Protocol.UDP)
    }
    options["also"] = ",".join(addresses[1:])
    given = tuple(sorted((key, text) for key, text in options.items() if text))
    target = Target(TargetKind.OUTSIDE, addresses[0], addresses[0])
    return _check(source, target, Probe("ports", timeout_ns=SWEEP_NS, options=given), count=1)


def _check(source: AgentId, target: Target, probe: Probe, *, count: int) -> Check:
    return Check(check_id(source, target, probe), source, target, probe, Layer.OUTSIDE, count)


def see_cells(access: Access, cells: Sequence[Cell], *, agent_port: int, asked_by: str) -> dict[Cell, Sight]:
    """What the agents see of *cells*; whoever cannot be asked costs only its own cells."""
    sights: dict[Cell, Sight] = {}
    asks = []
    for one in plan_asks(cells, agent_port=agent_port):
        if isinstance(one, Ask):
            asks.append(one)
        else:
            why = "no probe speaks ESP" if one.door.protocol is Protocol.ESP else "over the agent's rate"
            sights[one] = _unseen(why)
    asyncio.run(_ask_all(access, asks, sights, asked_by))
    return sights


async def _ask_all(access: Access, asks: list[Ask], sights: dict[Cell, Sight], asked_by: str) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask(one: Ask) -> None:
        async with slots:
            sights.update(await _ask(access, one, asked_by))

    async with asyncio.TaskGroup() as group:
        for one in asks:
            group.create_task(ask(one))


async def _ask(access: Access, one: Ask, asked_by: str) -> dict[Cell, Sight]:
    patience_s = one.check.probe.timeout_ns / 1e9 * one.check.count + _BUS_S
    try:
        reply = await ask_check(access, one.check, asked_by=asked_by, timeout_s=patience_s)
        if isinstance(reply, Declined):
            return dict.fromkeys(one.cells, _unseen(f"the agent declined: {reply.reason}"))
        if one.check.probe.kind == "ports":
            facts = reply.details[0].facts if reply.details else ()
            return _sort(one.cells, read_facts(facts))
    except NetprobeError as error:
        return dict.fromkeys(one.cells, _unseen(f"not asked: {error}"))
    return dict.fromkeys(one.cells, sight_of(reply.outcomes))


def _sort(cells: tuple[Cell, ...], verdicts: Iterator[PortVerdict]) -> dict[Cell, Sight]:
    told = {(one.address, str(one.transport), one.port): one for one in verdicts}
    sights = {}
    for cell in cells:
        one = told.get((cell.address, str(cell.door.protocol), cell.door.port))
        sights[cell] = sight_of_port(one) if one else _unseen("the agent said nothing of this port")
    return sights


def sight_of_port(one: PortVerdict) -> Sight:
    """A port's verdict as a sight."""
    return Sight(
        one.verdict, one.sender, one.reason, is_witnessed=one.verdict is Verdict.FILTERED,
        was_asked=not one.reason.startswith("our own machine"),
    )  # fmt: skip


def sight_of(outcomes: tuple[Outcome, ...]) -> Sight:  # noqa: PLR0911 - one line per outcome
    """The best of a few outcomes of one question: one answer is enough."""
    for outcome in sorted(outcomes, key=lambda each: not isinstance(each, Reached)):
        match outcome:
            case Reached():
                return Sight(Verdict.OPEN)
            case Refused():
                return Sight(Verdict.CLOSED)
            case Rejected(sender):
                return Sight(Verdict.REJECTED, sender)
            case TimedOut():
                return Sight(Verdict.FILTERED)
            case NotMeasured(reason):
                return _unseen(reason)
            case _:
                return _unseen(str(outcome.kind))
    return _unseen("the agent answered without an outcome")


def _unseen(reason: str) -> Sight:
    return Sight(Verdict.UNKNOWN, reason=reason, was_asked=False)
