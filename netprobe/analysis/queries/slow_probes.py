"""Marks of the decision table that only a patient question can set, and what they mean for the pair.

Some faults show in nothing that is asked every few seconds: a connection that takes a minute is given up
long before, one in many that takes a second is a lost packet, and a flow that is never quiet is never
forgotten. So they are asked on demand, with patience. Rule: pure over answers; a mark is added by adding a
reader, and what it means says the table. A reader that is not sure says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.queries.path_explanation import PathExplanation
from netprobe.model import component as parts
from netprobe.model.check import Check, Probe, check_id
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Evidence
from netprobe.model.flow import FlowState
from netprobe.model.names import AgentId, NodeId, Plane
from netprobe.model.outcome import AppFailed, NotMeasured, Outcome, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState
from netprobe.model.units import SECOND_NS
from netprobe.probes.idle import read_flows
from netprobe.probes.wording import FLOW_WORDS
from netprobe.wire.messages import OutcomeDetail

CONNECTS = 20
"""Connections asked for in a row, where rare ones are slow."""
SHORT_NS = 4 * SECOND_NS
"""Patience for a connection whose first two packets may be lost (RFC 6298: again after 1 s, 2 s more)."""
LONG_NS = 70 * SECOND_NS
"""Patience for one whose packets all arrive spoiled, until the seventh: 1 + 2 + 4 + 8 + 16 + 32 s."""
_RETRIED_S = ((1.0, 1.5), (2.0, 2.5), (3.0, 3.5))
"""After how long a connection stands whose first packets were lost; since Linux 6.5 every second is tried."""
_MINUTE_S = (60.0, 66.0)
_RARE_SHARE = 1 / 3
_LEAST_CONNECTS = 10


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A question asked on demand and what came of it: an outcome each time, and the first one's detail."""

    check: Check
    outcomes: tuple[Outcome, ...]
    detail: OutcomeDetail = field(default_factory=OutcomeDetail)


@dataclass(frozen=True, slots=True)
class ProbePath:
    """Who asked whom, and by which node packets left the asker's cluster, if they did."""

    source: AgentId
    target: AgentId
    gateway: NodeId | None = None

    @property
    def between(self) -> Component:
        """What lies between both ends."""
        if self.gateway is not None:
            return parts.tunnel(self.source.cluster, self.target.cluster)
        return parts.overlay(self.source.node_id, self.target.node_id)


@dataclass(frozen=True, slots=True)
class ProbeSymptom:
    """What a reader saw: the symptom, the part it is put to, and one sentence of evidence."""

    symptom: Symptom
    part: Component
    told: str


def find_patient_questions(
    snapshot: Snapshot, why: PathExplanation
) -> tuple[ProbePath, tuple[Check, ...]] | None:
    """What to ask with patience about a pair, one living agent another; None where no agent can ask."""
    alive = {status.agent for status in snapshot.agents if status.state is AgentState.ALIVE}
    able = [c for c in why.checks if c.target.agent is not None and c.source in alive]
    like = min(able, key=lambda check: (check.source.plane is not Plane.POD, check.id), default=None)
    if like is None or like.target.agent is None:
        return None
    legs = next((legs for legs in snapshot.legs if legs.check == like.id), None)
    out = (part.node for part in (legs.forward if legs else ()) if part.kind is ComponentKind.GATEWAY_OUT)
    gateway = next(out, None)
    checks = tuple(
        Check(check_id(like.source, like.target, probe), like.source, like.target, probe, like.layer, count)
        for probe, count in patient_probes(snapshot.inventory.agent_port)
    )
    return ProbePath(like.source, like.target.agent, gateway), checks


def patient_probes(port: int) -> tuple[tuple[Probe, int], ...]:
    """What is asked with patience, and how often: many connections, a long one, flows that are quiet."""
    return (
        (Probe("tcp", port=port, timeout_ns=SHORT_NS), CONNECTS),
        (Probe("tcp", port=port, timeout_ns=LONG_NS), 1),
        (Probe("idle", port=port, timeout_ns=400 * SECOND_NS), 1),
    )


def read_probe_symptoms(told: Sequence[ProbeResult], way: ProbePath) -> Iterator[Hypothesis]:
    """What patient questions mean, by the table."""
    for one in told:
        for read in READERS:
            mark = read(one, way)
            if mark is not None:
                evidence = (Evidence(Prose(f"asked with patience: {mark.told}"), (one.check.id,)),)
                yield build_hypothesis(mark.symptom, (mark.part,), core=(), evidence=evidence)


Reader = Callable[[ProbeResult, ProbePath], ProbeSymptom | None]


def _read_idle(told: ProbeResult, way: ProbePath) -> ProbeSymptom | None:
    """Row `idle-timeout`: a flow that was idle for long is dead, one that was idle for less lives."""
    if told.check.probe.kind != "idle" or not isinstance(told.outcomes[0], TimedOut | AppFailed):
        return None
    flows = read_flows(told.detail.values, told.detail.facts)
    lived = [gap_s for gap_s, state in flows if state is FlowState.ALIVE]
    died = [(gap_s, state) for gap_s, state in flows if state.is_forgotten]
    if not lived or not died:
        return None
    part, (gap_s, state) = way.between, died[0]
    said = f"{lived[-1]} s quiet {FLOW_WORDS[FlowState.ALIVE]}, {gap_s} s quiet ({FLOW_WORDS[state]})"
    return ProbeSymptom(Symptom(part.kind, note=Note.IDLE), part, said)


def _read_slow_connect(told: ProbeResult, way: ProbePath) -> ProbeSymptom | None:
    """Row `overlay-checksum-offload`: inside a cluster, a connection is established after a minute."""
    if told.check.probe.kind != "tcp" or way.gateway is not None or way.source.node == way.target.node:
        return None
    took_s = [one.rtt_ns / SECOND_NS for one in told.outcomes if isinstance(one, Reached)]
    if not took_s or not all(_MINUTE_S[0] <= each <= _MINUTE_S[1] for each in took_s):
        return None
    part = way.between
    return ProbeSymptom(
        Symptom(ComponentKind.OVERLAY, note=Note.SLOW_CONNECT), part, f"a connection took {took_s[0]:.0f} s"
    )


def _read_port_race(told: ProbeResult, way: ProbePath) -> ProbeSymptom | None:
    """Row `snat-port-collision`: through a gateway, a few connections need exactly one retry."""
    if told.check.probe.kind != "tcp" or way.gateway is None or len(told.outcomes) < _LEAST_CONNECTS:
        return None
    took_s = [one.rtt_ns / SECOND_NS for one in told.outcomes if isinstance(one, Reached)]
    retried = [each for each in took_s if any(low <= each <= high for low, high in _RETRIED_S)]
    others = [each for each in took_s if each not in retried]
    measured = [one for one in told.outcomes if not isinstance(one, NotMeasured)]
    if not retried or len(retried) > _RARE_SHARE * len(measured) or max(others, default=9.0) >= 1:
        return None
    what = f"{len(retried)} of {len(measured)} connections took {retried[0]:.1f} s"
    what += f", the others {max(others):.2f} s at most"
    return ProbeSymptom(
        Symptom(ComponentKind.GATEWAY_OUT, note=Note.PORT_RACE), parts.gateway_out(way.gateway), what
    )


READERS: tuple[Reader, ...] = (_read_idle, _read_slow_connect, _read_port_race)
