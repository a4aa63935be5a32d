"""Finds agents that do not report, so that their silence is not taken for a firewall. Pure.

An agent that has not reported has no plan that we know of: it answers no request, so its silence on its own
ports says nothing about the network. An agent that answers runs, whatever the collector last heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netprobe.analysis.intent.questions import unseen
from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.model.intent import Cell, Protocol
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState
from netprobe.model.verdict import Verdict

_SPEAKS = frozenset({AgentState.ALIVE, AgentState.SICK})
_PROVES = frozenset({Verdict.OPEN, Verdict.REJECTED})
"""Verdicts on a port that do not depend on the agent behind it."""
_DOORS = frozenset({Protocol.TCP, Protocol.UDP})


def find_absent(snapshot: Snapshot) -> dict[str, Reason]:
    """Agents that do not speak now, by name, each with why."""
    known = {one.agent: one for one in snapshot.agents}
    absent = {}
    for agent in snapshot.inventory.iter_agents():
        status = known.get(agent)
        if status is None or status.state not in _SPEAKS:
            state = status.state if status else AgentState.ABSENT
            why = (status.reason if status else "") or "never reported"
            absent[str(agent)] = Reason(ReasonCode.AGENT_AWAY, str(agent), detail=Prose(f"{state}: {why}"))
    return absent


def explain(
    sights: Mapping[Cell, PortObservation], absent: Mapping[str, Reason]
) -> dict[Cell, PortObservation]:
    """The same sights; those that are missing because the asking agent does not report say so."""
    if not absent:
        return dict(sights)  # copied whole: to hash every cell of a large matrix again takes its time
    return {cell: _explained(cell, sight, absent) for cell, sight in sights.items()}


def _explained(cell: Cell, sight: PortObservation, absent: Mapping[str, Reason]) -> PortObservation:
    why = absent.get(str(cell.source))
    return sight if sight.was_asked or why is None else unseen(replace(why, beside=sight.reason))


def doubt(
    sights: Mapping[Cell, PortObservation], absent: Mapping[str, Reason], *, agent_port: int
) -> dict[Cell, PortObservation]:
    """The same sights, but nothing is concluded from the silence of an agent that does not report."""
    if not absent:
        return dict(sights)
    return {
        cell: unseen(absent[cell.target]) if _is_moot(cell, sight, absent, agent_port) else sight
        for cell, sight in sights.items()
    }


def _is_moot(cell: Cell, sight: PortObservation, absent: Mapping[str, Reason], agent_port: int) -> bool:
    is_own = cell.door.protocol in _DOORS and cell.door.port == agent_port
    return is_own and cell.target in absent and sight.verdict not in _PROVES
