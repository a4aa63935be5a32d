"""Which questions an intent's cells need, and what the replies say about each cell. Pure.

Ports are asked in batches: an agent's addresses, each with its ports, in as few questions as fit the bus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.intent import Cell, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.probes.observation import agent_of, is_at
from netprobe.probes.ports import DEFAULT_TRIES, MAX_PAIRS, PortTargets, read_verdicts, write_port_targets
from netprobe.wire.messages import Declined, OutcomeDetail, Reply

MAX_ADDRESSES = 128
"""Addresses of one question."""
_MAX_TEXT, _SEPARATORS = 12_000, 5
"""Bytes of the options: a question must fit the bus's limit with all that is around them. Each address has
a separator in every option."""
SWEEP_NS = 20_000_000_000
_ASKABLE = frozenset(Protocol) - {Protocol.ESP}
_PORTED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


@dataclass(frozen=True, slots=True)
class CellQuestion:
    """One question and the cells that its answer decides."""

    check: Check
    cells: tuple[Cell, ...]


def find_unaskable(cells: Sequence[Cell]) -> dict[Cell, PortObservation]:
    """The cells that no probe can ask, and why."""
    return {
        cell: unseen(Reason(ReasonCode.NO_PROBE, who=cell.door.protocol.upper()))
        for cell in cells
        if cell.door.protocol not in _ASKABLE
    }


def plan_asks(
    cells: Sequence[Cell], *, agent_port: int, tries: int = DEFAULT_TRIES
) -> dict[AgentId, tuple[CellQuestion, ...]]:
    """The questions that *cells* need, by the agent that asks them; unaskable cells are left out.

    *tries* is how many silences are a verdict on a host that refuses nothing.
    """
    by_source: dict[AgentId, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.door.protocol in _ASKABLE:
            by_source[cell.source].append(cell)
    return {
        source: tuple(_ask(source, lots, tries) for lots in _batches(_lots(asked, agent_port)))
        for source, asked in by_source.items()
    }


@dataclass(frozen=True, slots=True)
class _PortBatch:
    """What one question asks of one address."""

    doors: PortTargets
    text: str
    """Its entries as the question writes them."""
    cells: tuple[Cell, ...]


def _lots(cells: list[Cell], agent_port: int) -> Iterator[_PortBatch]:
    """One batch per address (more where it has very many ports); those with equal ports side by side."""
    of_address: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        of_address[cell.address].append(cell)
    alike: dict[frozenset[PortSpec], list[str]] = defaultdict(list)
    for address, asked in of_address.items():
        alike[frozenset(cell.door for cell in asked)].append(address)
    for doors, addresses in alike.items():
        ordered = sorted(doors)
        for low in range(0, len(ordered), MAX_PAIRS):
            part = set(ordered[low : low + MAX_PAIRS])
            asked_for = _read_doors(part, agent_port)
            text = "".join(write_port_targets([asked_for]).values())
            for address in addresses:
                its_cells = tuple(cell for cell in of_address[address] if cell.door in part)
                yield _PortBatch(replace(asked_for, address=address), text, its_cells)


def _read_doors(doors: set[PortSpec], agent_port: int) -> PortTargets:
    agent = PortSpec(Protocol.UDP, agent_port)
    ports = [
        (Transport(protocol), tuple(one.port for one in doors if one.protocol is protocol and one != agent))
        for protocol in _PORTED
    ]
    return PortTargets(
        "", tuple(ports), (agent_port,) if agent in doors else (), PortSpec(Protocol.ICMP) in doors
    )


def _batches(lots: Iterator[_PortBatch]) -> Iterator[list[_PortBatch]]:
    """Lots that fit one question: by their number, their pairs, and the length of what is written."""
    batch: list[_PortBatch] = []
    for lot in lots:
        if batch and not _fits([*batch, lot]):
            yield batch
            batch = []
        batch.append(lot)
    if batch:
        yield batch


def _fits(lots: list[_PortBatch]) -> bool:
    if len(lots) > MAX_ADDRESSES or sum(lot.doors.count for lot in lots) > MAX_PAIRS:
        return False
    texts = [lot.text for lot in lots]
    entries = len(texts[0]) if len(set(texts)) == 1 else sum(len(text) + _SEPARATORS for text in texts)
    return entries + sum(len(lot.doors.address) + 1 for lot in lots) <= _MAX_TEXT


def _ask(source: AgentId, lots: list[_PortBatch], tries: int) -> CellQuestion:
    options = write_port_targets([lot.doors for lot in lots])
    options["tries"] = str(tries) if tries != DEFAULT_TRIES else ""
    probe = Probe("ports", timeout_ns=SWEEP_NS, options=options_of(options))
    cells = tuple(cell for lot in lots for cell in lot.cells)
    return CellQuestion(make_check(source, lots[0].doors.address, probe), cells)


def options_of(options: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Those that say something, sorted."""
    return tuple(sorted((key, text) for key, text in options.items() if text))


def make_check(source: AgentId, address: str, probe: Probe) -> Check:
    """A question to an address, once."""
    target = Target(TargetKind.OUTSIDE, address, address)
    return Check(check_id(source, target, probe), source, target, probe, Layer.OUTSIDE)


def read_reply(ask: CellQuestion, reply: Reply) -> dict[Cell, PortObservation]:
    """What *reply* says about the cells of *ask*; what cannot be read costs no other cell."""
    if isinstance(reply, Declined):
        return dict.fromkeys(ask.cells, unseen(Reason(ReasonCode.DECLINED, detail=reply.reason)))
    detail = reply.details[0] if reply.details else OutcomeDetail()
    try:
        told = {
            (one.address, str(one.transport), one.port): one
            for one in read_verdicts(detail.values, detail.facts)
        }
    except RemoteFormatError as error:
        return dict.fromkeys(ask.cells, unseen(Reason(ReasonCode.UNREADABLE, detail=Prose(str(error)))))
    sights = {}
    for cell in ask.cells:
        one = told.get((cell.address, str(cell.door.protocol), cell.door.port))
        sights[cell] = _sight_of(cell, one) if one else unseen(Reason(ReasonCode.NO_VERDICT))
    return sights


def _sight_of(cell: Cell, one: PortVerdict) -> PortObservation:
    """A verdict as a sight; unknown where another agent answered on an agent's port."""
    asked, answered = agent_of(cell.target), one.answered_by
    if (
        one.verdict is Verdict.OPEN
        and answered
        and asked is not None
        and not is_at(answered, str(asked.node_id))
    ):
        return PortObservation(Verdict.UNKNOWN, reason=Reason(ReasonCode.OTHER_ANSWERED, who=answered))
    is_ours = one.verdict is Verdict.UNKNOWN and one.reason is not None and one.reason.is_own_side
    return PortObservation(
        one.verdict, one.sender, one.reason, is_witnessed=one.verdict is Verdict.FILTERED,
        was_asked=not is_ours,
    )  # fmt: skip


def unseen(reason: Reason) -> PortObservation:
    """A cell that was not asked, and why."""
    return PortObservation(Verdict.UNKNOWN, reason=reason, was_asked=False)
