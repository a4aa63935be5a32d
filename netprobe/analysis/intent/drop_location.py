"""Locates drops: which walks are needed, with which control probe, and what they say about each cell. Pure.

One walk per source holds all its drops: addresses side by side, each with something that is known to pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netprobe.analysis.intent.questions import SWEEP_NS, CellQuestion, make_check, options_of
from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Probe
from netprobe.model.intent import Cell, Protocol
from netprobe.model.names import AgentId
from netprobe.model.verdict import Transport, Verdict
from netprobe.probes.drops import Suspects, read_drops, write_suspects
from netprobe.probes.ports import MAX_PAIRS
from netprobe.wire.messages import Declined, Reply

MAX_ADDRESSES = 48
"""Addresses of one walk: each has lists of ports of its own, and the question must fit the bus's limit."""
_TRANSPORTS = {
    Protocol.TCP: Transport.TCP, Protocol.UDP: Transport.UDP, Protocol.ICMP: Transport.ICMP
}  # fmt: skip
_WITNESSES = (
    (Protocol.ICMP, Verdict.OPEN), (Protocol.TCP, Verdict.OPEN), (Protocol.TCP, Verdict.CLOSED),
    (Protocol.UDP, Verdict.OPEN), (Protocol.UDP, Verdict.CLOSED),
)  # fmt: skip
"""What passes and can serve as a control probe, best first."""


def plan_walks(
    sights: Mapping[Cell, PortObservation], wanted: Iterable[Cell]
) -> dict[AgentId, tuple[CellQuestion, ...]]:
    """The walks that find the drops among the cells *wanted*, by the agent that asks them."""
    by_source: dict[AgentId, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in wanted:
        if _can_be_walked(cell, sights[cell]):
            by_source[cell.source][cell.address].append(cell)
    witnesses = _find_witnesses(sights)
    return {source: tuple(_walks(source, drops, witnesses)) for source, drops in by_source.items()}


def _can_be_walked(cell: Cell, sight: PortObservation) -> bool:
    is_dropped = sight.verdict is Verdict.FILTERED and sight.reason is None
    return is_dropped and cell.door.protocol in {Protocol.TCP, Protocol.UDP}


Door = tuple[Transport, int]


def _find_witnesses(sights: Mapping[Cell, PortObservation]) -> dict[tuple[AgentId, str], Door]:
    best: dict[tuple[AgentId, str], tuple[int, Door]] = {}
    ranks = {kind: rank for rank, kind in enumerate(_WITNESSES)}
    for cell, sight in sights.items():
        rank = ranks.get((cell.door.protocol, sight.verdict))
        key = (cell.source, cell.address)
        if rank is not None and rank < best.get(key, (len(ranks), None))[0]:
            best[key] = rank, (_TRANSPORTS[cell.door.protocol], cell.door.port)
    return {key: door for key, (_, door) in best.items()}


def _walks(
    source: AgentId, drops: Mapping[str, list[Cell]], witnesses: Mapping[tuple[AgentId, str], Door]
) -> Iterator[CellQuestion]:
    together: list[str] = []
    for address in drops:
        together.append(address)
        count = sum(len(drops[each]) for each in together)
        if len(together) == MAX_ADDRESSES or count > MAX_PAIRS // 2:
            yield _walk(source, drops, together, witnesses)
            together = []
    if together:
        yield _walk(source, drops, together, witnesses)


def _walk(
    source: AgentId,
    drops: Mapping[str, list[Cell]],
    addresses: list[str],
    witnesses: Mapping[tuple[AgentId, str], Door],
) -> CellQuestion:
    suspects = [
        Suspects(
            address,
            tuple((_TRANSPORTS[cell.door.protocol], cell.door.port) for cell in drops[address]),
            witnesses.get((source, address)),
        )
        for address in addresses
    ]
    probe = Probe("drops", timeout_ns=SWEEP_NS, options=options_of(write_suspects(suspects)))
    cells = tuple(cell for address in addresses for cell in drops[address])
    return CellQuestion(make_check(source, addresses[0], probe), cells)


def place_drops(
    ask: CellQuestion, reply: Reply, sights: Mapping[Cell, PortObservation]
) -> dict[Cell, PortObservation]:
    """The sights of *ask*'s cells with the places that *reply* names; without one, they stay as they were."""
    if isinstance(reply, Declined) or not reply.details:
        return {}
    try:
        places = {
            (one.address, str(one.transport), one.port): one
            for one in read_drops(reply.details[0].values, reply.details[0].facts)
        }
    except RemoteFormatError:
        return {}
    placed = {}
    for cell in ask.cells:
        place = places.get((cell.address, str(cell.door.protocol), cell.door.port))
        if place is not None:
            placed[cell] = replace(sights[cell], place=place)
    return placed
