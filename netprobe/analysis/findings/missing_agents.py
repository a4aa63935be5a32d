"""Detects agents whose pod is Running but that send no reports, and locates the cause.

Rules: an agent is late when its pod is running and no report came for a minute and for six evaluated
intervals; so a restart, a rollout, a booting node or a restarted collector is not a finding. If the collector
itself stalled, that time is ignored: each evaluation advances the clock by at most one interval. Agents whose
pod or node was deleted, or that are not in the plan, are dropped. Where packets have already named a part
that explains the silence, the silence is added there as evidence. Where many agents are late, the smallest
place that holds them and no reporting agent is one finding. No agent is late in a cluster whose API is away:
its pods may be gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from netprobe.analysis.diagnosis.hypothesis import Placeholders, build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.findings.missing_agents_text import MissingAgent, describe, find_evidence
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, ComponentKind, bus_way, dns
from netprobe.model.component import agent as agent_part
from netprobe.model.expected_agents import AgentPod, ExpectedAgents
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.names import AgentId, ClusterName, Plane
from netprobe.model.prose import Prose

LATE_AFTER_NS = 60_000_000_000
"""How long a process may take to start, find the bus and measure, whatever the interval."""
LATE_INTERVALS = 6
_PAST = 500
_PASSING = {Cause.SNAT, Cause.WRONG_PEER, Cause.TUNNEL_SLOW, Cause.POLICY_DROP, Cause.POLICY_REJECT,
            Cause.INTENT_BROKEN, Cause.INTENT_LEAK}  # fmt: skip
"""Causes that explain no silence: packets pass, or one port is blocked that is not the bus's."""
_BETWEEN = {ComponentKind.TUNNEL, ComponentKind.UNDERLAY, ComponentKind.GATEWAY_IN, ComponentKind.GATEWAY_OUT}
_Key = tuple[Note, tuple[Component, ...]]


@dataclass(slots=True)
class _AwaitedPod:
    """One awaited pod. Times are of our own clock, which stops while this process stalls."""

    pod: AgentPod
    node_ready: bool
    noticed_ns: int
    """Wall time."""
    since_ns: int
    """When it last reported, or when its wait began again."""
    is_due: bool = False
    covered_by: str = ""
    """The finding of packets that explains its silence."""


@dataclass(frozen=True, slots=True)
class _Group:
    note: Note
    parts: tuple[Component, ...]
    late: tuple[AgentId, ...]

    @property
    def key(self) -> _Key:
        return self.note, self.parts


@dataclass(slots=True)
class _Case:
    late: frozenset[AgentId]
    finding: Finding


class MissingAgents:
    """Which agents are awaited, and the findings about those that do not report."""

    def __init__(self, *, late_after_ns: int = LATE_AFTER_NS) -> None:
        """*late_after_ns*: no agent is late before that, nor before `LATE_INTERVALS`."""
        self._late_after_ns = late_after_ns
        self._expected = ExpectedAgents()
        self._waits: dict[AgentId, _AwaitedPod] = {}
        self._heard: dict[AgentId, int] = {}
        """When a report came last, by our own clock."""
        self._spoke: dict[AgentId, int] = {}
        """Until when an agent's newest report speaks (its own wall time)."""
        self._silenced: dict[str, list[AgentId]] = {}
        """Who is silent because of a finding of packets, by that finding."""
        self._cases: dict[_Key, _Case] = {}
        self._past: deque[Finding] = deque(maxlen=_PAST)
        self._clock_ns = 0
        self._looked_ns: int | None = None

    def expect(self, expected: ExpectedAgents) -> None:
        """These agents should run, as their clusters' APIs say."""
        self._expected = expected

    def hear(self, agents: Iterable[AgentId], *, until_ns: int) -> None:
        """A report of each of *agents* came, which speaks until *until_ns*."""
        if not self._expected.pods:
            return
        for agent in agents:
            self._heard[agent] = self._clock_ns
            self._spoke[agent] = max(until_ns, self._spoke.get(agent, 0))
            if agent in self._waits:
                self._begin_anew(self._waits[agent])

    def see(
        self,
        index: PlanIndex,
        observation: IntervalObservation | None,
        found: Iterable[Finding],
        *,
        now_ns: int,
    ) -> None:
        """Evaluate who is late at *now_ns*, given the findings by packets and the last observation."""
        if not self._expected.pods and not self._waits:
            return
        passed_ns = now_ns - self._looked_ns if self._looked_ns is not None else 0
        if self._looked_ns is not None and passed_ns < index.interval_ns // 2:
            return
        self._looked_ns = now_ns
        self._clock_ns += min(max(0, passed_ns), index.interval_ns)
        self._await(index, tuple(found), now_ns)
        self._silenced = {}
        for agent, wait in self._waits.items():
            if wait.is_due and wait.covered_by:
                self._silenced.setdefault(wait.covered_by, []).append(agent)
        groups = {group.key: group for group in self._group(index)}
        self._end(groups, now_ns)
        for group in groups.values():
            self._open(group, index, observation, now_ns)

    def step_clock(self, by_ns: int) -> None:
        """Our own wall clock was set by *by_ns*; no time has passed."""
        if self._looked_ns is not None:
            self._looked_ns += by_ns

    def late(self, index: PlanIndex) -> frozenset[AgentId]:
        """Who has not come for half the time after which a finding is made, and nothing explains it."""
        half_ns = self._due_ns(index) // 2
        return frozenset(
            agent
            for agent, wait in self._waits.items()
            if not wait.covered_by
            and agent.cluster not in self._expected.unsure
            and (wait.is_due or self._clock_ns - wait.since_ns >= half_ns)
        )

    def merge(self, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """*found* by packets, with the agents each silences, and the findings made from silence alone."""
        if not self._waits:
            return tuple(one for one in found if not self._is_folded(one, found))
        outdone = {agent for case in self._cases.values() for agent in case.late}
        outdone |= {
            agent
            for agents in self._silenced.values()
            for agent in agents
            if not self._has_come(agent, self._waits[agent].pod)
        }
        mine = tuple(case.finding for case in self._cases.values())
        told = tuple(
            _with_silence(one, self._silenced.get(one.id, ()))
            for one in found
            if not self._is_known_better(one, outdone) and not self._is_folded(one, found)
        )
        return tuple(sorted((*told, *mine), key=lambda one: (-one.confidence, one.first_seen_ns, one.id)))

    def _is_folded(self, finding: Finding, found: tuple[Finding, ...]) -> bool:
        """Whether lost reports follow from what packets blame at the agent's own node."""
        node = finding.components[0].node
        if finding.cause is not Cause.AGENT_CUT_OFF or node is None:
            return False
        parts = (part for one in found if one.cause not in _PASSING for part in one.components)
        return any(part.kind is not ComponentKind.BUS_WAY and part.node == node for part in parts)

    def _is_known_better(self, finding: Finding, outdone: Collection[AgentId]) -> bool:
        """Whether the cluster's API tells more of an agent than packets do."""
        part = finding.components[0]
        if finding.cause is Cause.AGENT_CUT_OFF:
            return any(pod.agent.cluster == part.cluster for pod in self._expected.pods)
        return finding.cause is Cause.AGENT_SICK and part.agent in outdone

    def merge_past(self, past: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """*past*, and what has ended here, newest first."""
        if not self._past:
            return past
        return tuple(sorted((*past, *self._past), key=lambda one: -(one.ended_ns or 0)))

    # --- who is late ----------------------------------------------------------------------------

    def _await(self, index: PlanIndex, found: tuple[Finding, ...], now_ns: int) -> None:
        there = {pod.agent: pod for pod in self._expected.pods if pod.runs and pod.agent in index.agent_set}
        self._waits = {agent: wait for agent, wait in self._waits.items() if agent in there}
        self._heard = {agent: at for agent, at in self._heard.items() if agent in index.agent_set}
        self._spoke = {agent: at for agent, at in self._spoke.items() if agent in index.agent_set}
        due_ns = self._due_ns(index)
        for agent, pod in there.items():
            wait = self._wait_for(agent, pod, now_ns)
            if agent.cluster in self._expected.unsure:
                wait.since_ns = self._clock_ns
            elif self._clock_ns - wait.since_ns > 2 * index.interval_ns or wait.covered_by:
                self._cover(agent, wait, found)
                wait.is_due = wait.is_due or self._clock_ns - wait.since_ns >= due_ns

    def _wait_for(self, agent: AgentId, pod: AgentPod, now_ns: int) -> _AwaitedPod:
        """The wait for *agent*; a new pod, a changed node state or a restart begins it again."""
        ready, wait = agent.node_id not in self._expected.not_ready, self._waits.get(agent)
        if wait is None or wait.pod.uid != pod.uid or wait.node_ready != ready:
            noticed_ns = wait.noticed_ns if wait is not None and wait.pod.uid == pod.uid else now_ns
            wait = self._waits[agent] = _AwaitedPod(pod, ready, noticed_ns, self._clock_ns)
        elif pod.since_ns is not None and pod.since_ns != wait.pod.since_ns and not wait.is_due:
            wait.since_ns = self._clock_ns  # one that starts again and again stays late
        wait.pod = pod
        return wait

    def _due_ns(self, index: PlanIndex) -> int:
        return max(self._late_after_ns, LATE_INTERVALS * index.interval_ns)

    def _begin_anew(self, wait: _AwaitedPod) -> None:
        wait.since_ns, wait.is_due = self._clock_ns, False

    def _cover(self, agent: AgentId, wait: _AwaitedPod, found: tuple[Finding, ...]) -> None:
        before = wait.covered_by
        wait.covered_by = next((one.id for one in found if self._explains(one, agent, wait)), "")
        if before and not wait.covered_by:
            self._begin_anew(wait)

    def _explains(self, finding: Finding, agent: AgentId, wait: _AwaitedPod) -> bool:
        """Whether a finding of packets is reason enough for an agent's silence.

        That an agent is sick is read from its silence; where its process is younger than its last report,
        we know better.
        """
        if finding.cause in _PASSING or finding.cause is Cause.AGENT_CUT_OFF:
            return False
        if finding.cause is Cause.AGENT_SICK:
            return finding.components[0].agent == agent and self._has_come(agent, wait.pod)
        return any(_touches(part, agent, self._expected.home) for part in finding.components)

    def _has_come(self, agent: AgentId, pod: AgentPod) -> bool:
        """Whether the process that runs now has ever reported."""
        spoke_ns = self._spoke.get(agent)
        return spoke_ns is not None and (pod.since_ns is None or spoke_ns > pod.since_ns)

    # --- where the reason lies ------------------------------------------------------------------

    def _group(self, index: PlanIndex) -> Iterator[_Group]:
        """Late agents, grouped by the smallest place that holds them and no reporting agent."""
        late = sorted(self.late(index))
        half_ns = self._due_ns(index) // 2
        heard = frozenset(agent for agent, at in self._heard.items() if self._clock_ns - at < half_ns)
        alone = {agent: note for agent in late if (note := self._excuse(agent))}
        for agent, note in alone.items():
            part = bus_way(agent) if note is Note.TURNED_AWAY else agent_part(agent)
            yield from self._if_due(_Group(note, (part,), (agent,)))
        silent = [agent for agent in late if agent not in alone]
        heard |= {
            agent for agent, note in alone.items() if note is not Note.NOT_RUNNING
        }  # it got as far as the bus
        if silent and not heard:
            clusters = dict.fromkeys(agent.cluster for agent in silent)
            yield from self._if_due(_Group(Note.EVERYBODY, tuple(map(bus_way, clusters)), tuple(silent)))
            return
        for cluster, members in groupby(silent, key=lambda agent: agent.cluster):
            here = frozenset(agent for agent in heard if agent.cluster == cluster)
            for group in self._place(cluster, tuple(members), here):
                yield from self._if_due(group)

    def _if_due(self, group: _Group) -> Iterator[_Group]:
        if any(self._waits[agent].is_due for agent in group.late):
            yield group

    def _excuse(self, agent: AgentId) -> Note | None:
        """What is known of an agent that has nothing to do with its way to the bus."""
        if agent in self._expected.refused:
            return Note.TURNED_AWAY
        if self._waits[agent].pod.waits:
            return Note.NOT_RUNNING
        return Note.ON_THE_BUS if agent in self._expected.present else None

    def _place(
        self, cluster: ClusterName, late: tuple[AgentId, ...], here: frozenset[AgentId]
    ) -> Iterator[_Group]:
        if not here:
            nodes = dict.fromkeys(agent.node_id for agent in late)
            (first, *others) = nodes
            note = Note.NOT_READY if not others and first in self._expected.not_ready else Note.ONE_CLUSTER
            yield _Group(note, (bus_way(cluster if others else first),), late)
            return
        for plane, members in _by_plane(late).items():
            if len(members) > 1 and plane not in {agent.plane for agent in here}:
                yield _Group(Note.ONE_PLANE, (bus_way(cluster, plane=plane),), members)
                late = tuple(agent for agent in late if agent not in members)
        for node, found in groupby(late, key=lambda agent: agent.node_id):
            members = tuple(found)
            is_ready = node not in self._expected.not_ready
            beside = any(agent.node_id == node for agent in here)
            where = members[0] if is_ready and beside else node
            yield _Group(Note.ONE_NODE if is_ready else Note.NOT_READY, (bus_way(where),), members)

    # --- findings -------------------------------------------------------------------------------

    def _end(self, groups: dict[_Key, _Group], now_ns: int) -> None:
        """Close groups that no longer exist. If some members reported, restart the timer of the rest."""
        for key, case in list(self._cases.items()):
            if key in groups:
                case.finding = replace(case.finding, last_seen_ns=now_ns)
            elif not self._is_held(case):
                del self._cases[key]
                self._past.append(replace(case.finding, ended_ns=now_ns))
                for group in [one for one in groups.values() if case.late > frozenset(one.late)]:
                    del groups[group.key]
                    for agent in group.late:
                        self._begin_anew(self._waits[agent])

    def _is_held(self, case: _Case) -> bool:
        """Whether a case stays as it was, because it is unknown whether its pods still run."""
        return any(
            agent in self._waits and self._waits[agent].is_due
            for agent in case.late
            if agent.cluster in self._expected.unsure
        )

    def _open(
        self, group: _Group, index: PlanIndex, observation: IntervalObservation | None, now_ns: int
    ) -> None:
        if group.key in self._cases:
            return
        late = [self._late(agent) for agent in group.late]
        evidence, against = find_evidence(late, index, observation)
        checks = [c.number for agent in group.late for c in index.from_agent.get(agent, ())]
        symptom = Symptom(group.parts[0].kind, note=group.note)
        at_home = group.parts[0].cluster == self._expected.home
        words: Placeholders = {
            "detail": describe(late),
            "there": "the bus's Service" if at_home else "the bus",
        }
        supposed = build_hypothesis(symptom, group.parts, core=(), words=words)
        finding = Finding(
            id=f"{supposed.cause}:{'+'.join(map(str, supposed.components))}",
            components=supposed.components,
            cause=supposed.cause,
            confidence=supposed.row.confidence,
            summary=Prose(supposed.summary),
            evidence_for=evidence,
            evidence_against=against,
            hidden=tuple(part for part in map(agent_part, group.late) if part not in group.parts),
            affected=index.ids(checks),
            first_seen_ns=now_ns,
            last_seen_ns=now_ns,
            next_step=Prose(supposed.row.next_step),
        )
        self._cases[group.key] = _Case(frozenset(group.late), finding)

    def _late(self, agent: AgentId) -> MissingAgent:
        wait = self._waits[agent]
        spoke_ns = self._spoke.get(agent) if self._has_come(agent, wait.pod) else None
        return MissingAgent(wait.pod, wait.noticed_ns, spoke_ns, self._expected.refused.get(agent, ""))


def _by_plane(late: tuple[AgentId, ...]) -> dict[Plane, tuple[AgentId, ...]]:
    planes = dict.fromkeys(agent.plane for agent in late)
    return {plane: tuple(agent for agent in late if agent.plane is plane) for plane in planes}


def _touches(part: Component, agent: AgentId, home: ClusterName | None) -> bool:
    """Whether a broken part may lie on an agent's way to the bus, which runs in *home*."""
    if part.agent == agent or part.is_at(agent.node_id):
        return True
    if part.kind in _BETWEEN:
        near = {agent.cluster, home or agent.cluster}
        return agent.cluster != home and not part.clusters.isdisjoint(near)
    return part == dns(agent.cluster)


def _with_silence(finding: Finding, agents: Iterable[AgentId]) -> Finding:
    told = sorted(map(str, agents))
    if not told:
        return finding
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    said = Evidence(Prose(f"called running, and does not report: {', '.join(told[:3])}{more}"))
    return replace(finding, evidence_for=(*finding.evidence_for, said))
