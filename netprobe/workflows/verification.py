"""Asks what an intent needs to know, several agents at once, and judges what they saw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from netprobe.analysis.intent.availability import doubt, explain, find_absent
from netprobe.analysis.intent.drop_location import place_drops, plan_walks
from netprobe.analysis.intent.questions import CellQuestion, find_unaskable, plan_asks, read_reply
from netprobe.analysis.intent.retry import (
    MOST_LOOKS,
    find_doubtful,
    find_news,
    give_up,
)
from netprobe.analysis.intent.verdicts import PortObservation, judge_cells
from netprobe.model.intent import Cell, CellResult, CellVerdict, Intent, LocateDrops
from netprobe.model.names import AgentId
from netprobe.model.reason import Reason
from netprobe.model.snapshot import Snapshot
from netprobe.wire.asker import Asker
from netprobe.wire.messages import Reply

AT_ONCE = 8
"""Agents that ask at the same time."""


async def verify_cells(
    asker: Asker,
    cells: Sequence[Cell],
    *,
    intent: Intent,
    snapshot: Snapshot,
    locate: LocateDrops = LocateDrops.DIFFERING,
) -> tuple[CellResult, ...]:
    """Every cell with its verdict, as the agents see it now."""
    port, absent = snapshot.inventory.agent_port, find_absent(snapshot)
    sights = await see_cells(asker, cells, agent_port=port, absent=absent)
    judge = partial(judge_cells, cells, responders=intent.responders)
    odd = _find_wanted(
        tuple(judge(sights)), LocateDrops.ALL if locate is LocateDrops.ALL else LocateDrops.DIFFERING
    )
    sights |= await _ask_again(asker, sights, odd, agent_port=port)
    judged = tuple(judge(sights))
    wanted = _find_wanted(judged, locate)
    if not wanted:
        return judged
    sights |= await find_places(asker, sights, wanted)
    return tuple(judge(sights))


async def see_cells(
    asker: Asker, cells: Sequence[Cell], *, agent_port: int, absent: Mapping[str, Reason]
) -> dict[Cell, PortObservation]:
    """What the agents see of *cells*; an agent that cannot be asked costs only its own cells."""
    sights = find_unaskable(cells) | await _see(asker, plan_asks(cells, agent_port=agent_port))
    return doubt(explain(sights, absent), absent, agent_port=agent_port)


async def _see(asker: Asker, asks: Mapping[AgentId, tuple[CellQuestion, ...]]) -> dict[Cell, PortObservation]:
    sights: dict[Cell, PortObservation] = {}
    await _ask(asker, asks, lambda ask, reply: sights.update(read_reply(ask, reply)))
    return sights


async def _ask_again(
    asker: Asker, sights: Mapping[Cell, PortObservation], odd: Sequence[Cell], *, agent_port: int
) -> dict[Cell, PortObservation]:
    """Those *odd* silent cells that answer now or stay undecided (``analysis.intent.retry``)."""
    news: dict[Cell, PortObservation] = {}
    silent, spoken = find_doubtful(sights, odd), news
    for _ in range(MOST_LOOKS):
        spoken = find_news(await _see(asker, plan_asks(silent, agent_port=agent_port, tries=1)))
        if not spoken:
            return news
        news |= spoken
        silent = [cell for cell in silent if cell not in spoken]
    return news | give_up(silent, spoken, sights)


def _find_wanted(judged: Sequence[CellResult], locate: LocateDrops) -> list[Cell]:
    match locate:
        case LocateDrops.NONE:
            return []
        case LocateDrops.ALL:
            return [one.cell for one in judged]
        case LocateDrops.DIFFERING:
            return [one.cell for one in judged if one.verdict is not CellVerdict.AS_INTENDED]


async def find_places(
    asker: Asker, sights: Mapping[Cell, PortObservation], wanted: Sequence[Cell]
) -> dict[Cell, PortObservation]:
    """The sights of those cells *wanted* whose drops could be placed."""
    placed: dict[Cell, PortObservation] = {}
    walks = plan_walks(sights, wanted)
    await _ask(asker, walks, lambda ask, reply: placed.update(place_drops(ask, reply, sights)))
    return placed


async def _ask(
    asker: Asker,
    asks: Mapping[AgentId, tuple[CellQuestion, ...]],
    take: Callable[[CellQuestion, Reply], None],
) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask_all(source: AgentId, of_agent: tuple[CellQuestion, ...]) -> None:
        async with slots:
            replies = await asker.ask(source, [ask.check for ask in of_agent])
        for ask, reply in zip(of_agent, replies, strict=True):
            take(ask, reply)

    async with asyncio.TaskGroup() as group:
        for source, of_agent in asks.items():
            group.create_task(ask_all(source, of_agent))
