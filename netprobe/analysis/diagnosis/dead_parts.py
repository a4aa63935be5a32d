"""Dead parts as hypotheses: what belongs together, what came back, and what lies beneath a dead link."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, Placeholders, build_hypothesis
from netprobe.analysis.diagnosis.packet_loss import LossSuspect, crossing_of, group_key, without_explained
from netprobe.analysis.diagnosis.rejections import (
    describe_rejections,
    find_answer,
    find_rejections,
    name_senders,
)
from netprobe.analysis.diagnosis.symptom import (
    Note,
    Symptom,
    TrafficClass,
    count_directions,
    part_kind,
)
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Evidence
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose

_OVER_OUTER = (ComponentKind.TUNNEL, ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN)
"""Parts that carry what runs between the outer addresses of gateways."""


@dataclass(frozen=True, slots=True)
class OuterAddresses:
    """What outer addresses answered each other in one interval: a link's ends, a gateway and its peers."""

    checks: frozenset[int]
    is_fine: bool
    is_silent: bool


def group_dead(
    observation: IntervalObservation,
    index: PlanIndex,
    blamed: Iterable[LossSuspect],
    *,
    traffic: TrafficClass,
    outer: Callable[[Component], OuterAddresses],
) -> tuple[Hypothesis, ...]:
    """Suspects that belong together, each group put to the table."""
    groups: dict[tuple[object, ...], list[LossSuspect]] = defaultdict(list)
    for one in without_explained(list(blamed)):
        groups[group_key(one.part)].append(one)
    return tuple(_build_hypothesis(observation, index, group, traffic, outer) for group in groups.values())


def _build_hypothesis(
    observation: IntervalObservation,
    index: PlanIndex,
    group: list[LossSuspect],
    traffic: TrafficClass,
    outer: Callable[[Component], OuterAddresses],
) -> Hypothesis:
    blamed = {one.part for one in group}
    # What no check tells apart from the other direction is said of both: one direction would be a guess.
    blamed |= {part for one in group for part in one.alike if part.is_reverse_of(one.part)}
    parts = sorted(blamed)
    core = frozenset[int]().union(*(one.checks for one in group))
    symptom = Symptom(
        part=part_kind(parts[0]),
        traffic=traffic,
        directions=count_directions(len(parts)),
        answer=find_answer(observation, core),
        is_gateway=_is_gateway(index, parts[0]),
    )
    rejections = find_rejections(observation, core)
    words: Placeholders = {"detail": _reject_words(observation, core)}
    if rejections:
        words["senders"] = f", as {name_senders(index, rejections)} report"
    explained = crossing_of(index, parts, traffic)
    if parts[0].kind in _OVER_OUTER and traffic is TrafficClass.MAIN:
        beneath = outer(parts[0])
        explained |= beneath.checks
        if beneath.is_silent:
            symptom = replace(symptom, note=Note.OUTER_SILENT)
        elif beneath.is_fine:
            words["outer"] = ", though the gateways' outer addresses answer"
    return build_hypothesis(
        symptom,
        parts,
        core=core,
        explained=explained,
        words=words,
        evidence=(
            *_evidence(observation, index, core),
            *_directions(observation, index, core, parts),
            *describe_rejections(index, rejections),
        ),
        against=_witnesses(observation, index, parts),
        indistinguishable=tuple(sorted({part for one in group for part in one.alike} - blamed)),
        is_solid=all(one.is_solid for one in group),
        patience=2 if len(core) > 1 else 3,
    )


def _is_gateway(index: PlanIndex, part: Component) -> bool:
    return part.agent is None and part.node in index.gateways


def _reject_words(observation: IntervalObservation, core: Iterable[int]) -> str:
    windows = [observation.seen[number].window for number in core if number in observation.seen]
    rejected = [window for window in windows if window.detail and window.count(OutcomeKind.REJECTED)]
    most = Counter(window.detail for window in rejected).most_common(1)
    return f" ({most[0][0]})" if most else ""


def _evidence(
    observation: IntervalObservation, index: PlanIndex, core: frozenset[int]
) -> tuple[Evidence, ...]:
    sources = {index.checks[number].source for number in core}
    asked = sum(observation.seen[number].asked for number in core if number in observation.seen)
    reached = sum(observation.seen[number].reached for number in core if number in observation.seen)
    text = f"{len(core)} checks of {len(sources)} agents: {reached} of {asked} probes answered"
    return (Evidence(Prose(text), index.ids(core)),)


def _directions(
    observation: IntervalObservation, index: PlanIndex, core: Iterable[int], parts: Sequence[Component]
) -> Iterator[Evidence]:
    """What was counted at the far end: with the part on the way out, and with the part on the way back."""
    if len(parts) != 1:
        return
    counted = [n for n in sorted(core) if n in observation.seen and observation.seen[n].arrived is not None]
    out = [n for n in counted if any(parts[0] in way for way in index.checks[n].legs.ways_out)]
    crossed = {n for n in counted if any(parts[0] in way for way in index.checks[n].legs.ways_back)}
    back = [n for n in counted if n in crossed and n not in set(out)]
    for way, numbers in (("the way out", out), ("the way back", back)):
        if numbers:
            asked = sum(observation.seen[n].asked for n in numbers)
            arrived = sum(observation.seen[n].arrived or 0 for n in numbers)
            text = f"over it on {way}: {arrived} of {asked} requests arrive"
            reached = sum(observation.seen[n].reached for n in numbers)
            answers = f", {reached} of {arrived} answers come back" if arrived else ""
            yield Evidence(Prose(text + answers), index.ids(numbers))


def _witnesses(
    observation: IntervalObservation, index: PlanIndex, parts: Iterable[Component]
) -> tuple[Evidence, ...]:
    every = frozenset(parts)
    good = [
        number
        for number in crossing_of(index, every)
        if number in observation.seen
        and observation.seen[number].is_good
        and index.surely_crosses(number, every)
    ]
    return (Evidence(Prose(f"{len(good)} checks that cross it are fine"), index.ids(good)),) if good else ()
