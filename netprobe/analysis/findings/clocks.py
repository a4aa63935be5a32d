"""Findings about clocks: an agent's that is off, or our own, where most agents agree that it is.

Rule: offsets come from `intervals.clocks`, which believes them only when delay cannot be the reason; a
finding lasts as long as its offset. What such an agent measures counts all the same, on our clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, collector
from netprobe.model.component import agent as agent_part
from netprobe.model.finding import Evidence, Finding
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose

_PAST = 100
_NAMED = 3


class ClockFindings:
    """Which clocks are off now, and which were."""

    def __init__(self) -> None:
        self._open: dict[Component, Finding] = {}
        self._past: deque[Finding] = deque(maxlen=_PAST)

    def see(
        self,
        index: PlanIndex,
        offsets_ns: Mapping[AgentId, int],
        reporting: Collection[AgentId],
        *,
        now_ns: int,
    ) -> None:
        """Open and close findings, given the offsets of clocks that are off, and who reports now."""
        heard = {agent: offset_ns for agent, offset_ns in offsets_ns.items() if agent in reporting}
        agreed = _find_agreed(heard, len(reporting), index.interval_ns)
        found: dict[Component, Finding] = {}
        if agreed:
            found[collector()] = _blame_us(index, {agent: heard[agent] for agent in agreed}, now_ns)
        for agent, offset_ns in heard.items():
            if agent not in agreed:
                found[agent_part(agent)] = _blame_agent(index, agent, offset_ns, now_ns)
        for part, before in self._open.items():
            if part in found:
                found[part] = replace(found[part], first_seen_ns=before.first_seen_ns)
            else:
                self._past.append(replace(before, ended_ns=now_ns))
        self._open = found

    def merge(self, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """*found*, and what is open here."""
        every = (*found, *self._open.values())
        return tuple(sorted(every, key=lambda one: (-one.confidence, one.first_seen_ns, one.id)))

    def merge_past(self, past: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """*past*, and what has ended here, newest first."""
        return tuple(sorted((*past, *self._past), key=lambda one: -(one.ended_ns or 0)))


def _find_agreed(heard: Mapping[AgentId, int], reporting: int, interval_ns: int) -> frozenset[AgentId]:
    """The agents that are off by the same, where they are most of the *reporting* ones and more than one."""
    if 2 * len(heard) <= reporting or len(heard) < 2:
        return frozenset()
    middle_ns = sorted(heard.values())[len(heard) // 2]
    agreed = frozenset(agent for agent, ns in heard.items() if abs(ns - middle_ns) <= interval_ns)
    return agreed if 2 * len(agreed) > reporting else frozenset()


def _blame_agent(index: PlanIndex, agent: AgentId, offset_ns: int, now_ns: int) -> Finding:
    detail = _describe(offset_ns, "the collector's")
    said = Evidence(Prose(f"when its reports arrive, they speak of a time that is {detail}"))
    checks = (one.number for one in index.from_agent.get(agent, ()))
    return _build(index, agent_part(agent), Note.CLOCK_OFF, detail, (said,), checks, now_ns)


def _blame_us(index: PlanIndex, agreed: Mapping[AgentId, int], now_ns: int) -> Finding:
    offset_ns = sorted(agreed.values())[len(agreed) // 2]
    detail = _describe(-offset_ns, "the agents'")
    names = sorted(map(str, agreed))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = Evidence(Prose(f"these agents agree with each other: {', '.join(names[:_NAMED])}{more}"))
    return _build(index, collector(), Note.MOST_CLOCKS_OFF, detail, (said,), (), now_ns)


def _describe(offset_ns: int, other: str) -> str:
    seconds = abs(offset_ns) / 1e9
    return f"{seconds:,.0f} s {'ahead of' if offset_ns > 0 else 'behind'} {other}"


def _build(
    index: PlanIndex, part: Component, note: Note, detail: str, evidence: tuple[Evidence, ...],
    checks: Iterable[int], now_ns: int,
) -> Finding:  # fmt: skip
    supposed = build_hypothesis(Symptom(part.kind, note=note), (part,), core=(), words={"detail": detail})
    return Finding(
        id=f"{supposed.cause}:{part}",
        components=(part,),
        cause=supposed.cause,
        confidence=supposed.row.confidence,
        summary=supposed.summary,
        evidence_for=evidence,
        affected=index.ids(checks),
        first_seen_ns=now_ns,
        last_seen_ns=now_ns,
        next_step=supposed.row.next_step,
    )
