"""One possible explanation of an interval: what may be broken, and which checks it explains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypedDict

from netprobe.analysis.diagnosis.decision_table import read_table
from netprobe.analysis.diagnosis.symptom import Symptom, TableRow, part_kind
from netprobe.model.component import Component
from netprobe.model.finding import Cause, Evidence
from netprobe.model.prose import Prose
from netprobe.model.traffic import TrafficCondition

Key = tuple[Cause, tuple[Component, ...], tuple[TrafficCondition, ...]]
ONE_NODE_CONFIDENCE = 0.5
"""The most that the word of a single node is worth."""


class Placeholders(TypedDict, total=False):
    """What the text of a row may refer to; what is not given is taken from the first component.

    ``parts`` (all components) is always filled in.
    """

    where: str
    here: str
    there: str
    detail: str
    remote: str
    """The cluster that a route leads to."""
    port: str
    zone: str
    loss: str
    outer: str
    senders: str
    """Who sent the ICMP errors, as the end of a sentence."""
    pods: str
    """Which way packets of a node's pods go: to, from, or both."""
    traffic: str
    """The class of traffic that is lost."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What may be broken. Checks are numbered as in the plan's index."""

    symptom: Symptom
    row: TableRow
    components: tuple[Component, ...]
    """Sorted."""
    core: frozenset[int]
    """Checks that fail because of it, beyond doubt."""
    explained: frozenset[int]
    """Checks that may fail because of it: their results are no further evidence."""
    summary: Prose
    evidence: tuple[Evidence, ...] = ()
    against: tuple[Evidence, ...] = ()
    indistinguishable: tuple[Component, ...] = ()
    loss: float | None = None
    is_solid: bool = True
    """Whether the parts were broken from the beginning of the interval to its end."""
    patience: int = 2
    """Intervals in a row that must suggest it, unless the interval before supports it."""
    is_reported_by_one_node: bool = False
    """Whether agents of one node alone report it (`diagnosis.reporting_nodes`)."""
    words: Placeholders = field(default_factory=Placeholders, compare=False)
    traffic: tuple[TrafficCondition, ...] = ()
    """The class of traffic that is lost; empty where it is all of it."""
    certainty: float = 1.0
    """Probability of these parts and this class among the alternatives, where it was computed."""

    @property
    def confidence(self) -> float:
        """That of its row times `certainty`; at most `ONE_NODE_CONFIDENCE` if one node alone reports it."""
        confidence = self.row.confidence * self.certainty
        return min(confidence, ONE_NODE_CONFIDENCE) if self.is_reported_by_one_node else confidence

    @property
    def cause(self) -> Cause:
        """What the decision table calls it."""
        return self.row.cause

    @property
    def key(self) -> Key:
        """What makes two hypotheses the same: cause, components and class of traffic."""
        return self.cause, self.components, self.traffic


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything one interval suggests."""

    hypotheses: tuple[Hypothesis, ...] = ()
    excused: frozenset[int] = frozenset()
    """Checks whose trouble follows from another's: behind a dead endpoint, beside a twin that fails as
    well.
    """
    unexplained: frozenset[int] = frozenset()
    """Troubled checks that nothing explains."""

    @property
    def keys(self) -> frozenset[Key]:
        """Which hypotheses there are."""
        return frozenset(hypothesis.key for hypothesis in self.hypotheses)


def build_hypothesis(  # noqa: PLR0913 - a hypothesis has that many sides, each named at the call
    symptom: Symptom,
    components: Iterable[Component],
    *,
    core: Iterable[int],
    explained: Iterable[int] = (),
    words: Placeholders | None = None,
    evidence: tuple[Evidence, ...] = (),
    against: tuple[Evidence, ...] = (),
    indistinguishable: tuple[Component, ...] = (),
    loss: float | None = None,
    is_solid: bool = True,
    patience: int = 2,
    traffic: tuple[TrafficCondition, ...] = (),
    certainty: float = 1.0,
) -> Hypothesis:
    """Look a symptom up in the decision table and write the summary."""
    row = read_table(symptom)
    parts = tuple(sorted(set(components)))
    core = frozenset(core)
    return Hypothesis(
        symptom=symptom,
        row=row,
        components=parts,
        core=core,
        explained=core | frozenset(explained),
        summary=_format_summary(row, parts, words or {}),
        evidence=evidence,
        against=against,
        indistinguishable=indistinguishable,
        loss=loss,
        is_solid=is_solid,
        patience=patience,
        words=words or {},
        traffic=traffic,
        certainty=certainty,
    )


def rename(hypothesis: Hypothesis, part: Component, *, is_gateway: bool) -> Hypothesis:
    """The same symptom, blamed on another component: reads the table again and rewrites the summary."""
    symptom = replace(hypothesis.symptom, part=part_kind(part), is_gateway=is_gateway)
    row = read_table(symptom)
    summary = _format_summary(row, (part,), hypothesis.words)
    return replace(hypothesis, row=row, components=(part,), summary=summary, symptom=symptom)


def _format_summary(row: TableRow, parts: tuple[Component, ...], words: Placeholders) -> Prose:
    first = parts[0]
    known: Placeholders = {
        "where": str(first.source),
        "here": str(first.source),
        "there": str(first.target),
        "detail": str(first.detail),
        "remote": first.route_target or "",
        "port": first.port,
        "zone": first.zone,
        "loss": "some",
        "outer": "",
        "senders": "",
        "pods": "to and from",
        "traffic": "",
    }
    return Prose(row.text.format_map({"parts": " and ".join(map(str, parts)), **known, **words}))
