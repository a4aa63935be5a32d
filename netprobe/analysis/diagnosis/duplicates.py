"""Packets that arrive more than once: which part sends them twice.

Rules: a check repeats where most of its answers came again, and is clean where none did; in between it says
nothing. A ping speaks of both its ways, because a kernel answers each copy. UDP speaks of the way back only:
a responder answers a question once.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.loss_rows import LEGS, Leg, LossRows
from netprobe.analysis.diagnosis.packet_loss import LossSuspect, PacketLossDetector, group_key
from netprobe.analysis.diagnosis.symptom import Answer, Symptom, TrafficClass, count_directions, part_kind
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.localise.evidence import Observations
from netprobe.analysis.plan.index import Aspect
from netprobe.model.component import Component
from netprobe.model.finding import Evidence
from netprobe.model.prose import Prose

_LEG_OF = {Aspect.ICMP: Leg.BOTH, Aspect.UDP: Leg.BACK}
_MOST = 0.5
"""At least this share of a check's answers comes again where a part sends every packet twice."""
_LEAST_CHECKS = 2


def find_duplicating(observation: IntervalObservation, network: PacketLossDetector) -> tuple[Hypothesis, ...]:
    """The parts that send packets twice, both directions of one thing together."""
    if not observation.seen.repeated.any():
        return ()
    rows = network.rows[TrafficClass.MAIN]
    groups: dict[tuple[object, ...], list[LossSuspect]] = defaultdict(list)
    for suspect in network.cover(rows, _observe(observation, rows)):
        if len(suspect.checks) >= _LEAST_CHECKS:
            groups[group_key(suspect.part)].append(suspect)
    return tuple(_build(observation, network, group) for group in groups.values())


def _observe(observation: IntervalObservation, rows: LossRows) -> Observations[Component]:
    """As if what came again had been lost: the localiser looks for parts that only such checks cross."""
    seen = observation.seen
    sent, lost = np.zeros((2, len(rows.checks) * len(LEGS)), np.int64)
    for place, check in enumerate(rows.checks):
        leg = _LEG_OF.get(check.aspect)
        answered, repeated = int(seen.reached[check.number]), int(seen.repeated[check.number])
        if leg is None or not answered or 0 < repeated < _MOST * answered:
            continue
        row = place * len(LEGS) + LEGS.index(leg)
        sent[row], lost[row] = answered, answered if repeated else 0
    return Observations(rows.matrix, sent, lost)


def _build(
    observation: IntervalObservation, network: PacketLossDetector, group: list[LossSuspect]
) -> Hypothesis:
    parts = sorted({one.part for one in group})
    core = frozenset[int]().union(*(one.checks for one in group))
    again = sum(int(observation.seen.repeated[number]) for number in core)
    answered = sum(int(observation.seen.reached[number]) for number in core)
    alike = tuple(dict.fromkeys(part for one in group for part in one.alike))
    return build_hypothesis(
        Symptom(part_kind(parts[0]), directions=count_directions(len(parts)), answer=Answer.REPEATED),
        parts,
        core=core,
        indistinguishable=(*parts, *alike) if alike else (),
        evidence=(
            Evidence(
                Prose(f"{answered} probes of {len(core)} checks that cross it got {again} further answers"),
                network.index.ids(core),
            ),
        ),
    )
