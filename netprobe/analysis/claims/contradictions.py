"""Findings where a fabric's claim and packets disagree, and claims quoted in the findings of packets.

Rules. A claim never moves the confidence of what packets showed. It is held against packets only after its
claimant had the time to notice (`table`) and has said the same for as long: one that follows packets changes
before a finding ends. It is held only while the claimant still writes; a claim that is not
verified by its own object counts as a claim all the same, because people read it as one. The reverse, a link
called down that carries packets, is a finding as well: names, fail-over and alerts follow that status.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netprobe.analysis.claims.quotes import quote_claim
from netprobe.analysis.claims.subjects import ClaimSubjects
from netprobe.analysis.claims.table import CLAIMS, CLOCK_ALLOWANCE_NS
from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom, part_kind
from netprobe.analysis.gateway_evidence.statements import TUNNEL_CAUSES
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component
from netprobe.model.fabric import Claim, ClaimState
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.prose import Prose

_DEAD_CAUSES = TUNNEL_CAUSES | {Cause.ROUTE_MISSING, Cause.OVERLAY_BLOCKED}
"""Causes that say of a part that nothing passes it in one direction or both."""
_HEALTHY_LOSS = 0.02
"""Share of the probes over a part that may be lost though it is well; one lost probe always may."""
_PAST = 100
_NAMED_CHECKS = 20
_QUOTED = 6


@dataclass(frozen=True, slots=True)
class _Disagreement:
    """One fabric's claims about some parts, against packets."""

    note: Note
    parts: tuple[Component, ...]
    claims: tuple[Claim, ...]
    packets: Evidence
    certainty: float = 1.0

    @property
    def key(self) -> str:
        """Stable while it lasts."""
        return f"{self.note}:{'+'.join(map(str, self.parts))} {self.claims[0].fabric}"


class ClaimContradictions:
    """What fabrics claim now, and where packets disagree."""

    def __init__(self) -> None:
        self._claims: tuple[Claim, ...] = ()
        self._subjects: ClaimSubjects | None = None
        self._index: PlanIndex | None = None
        self._well_since_ns: dict[tuple[str, tuple[Component, ...]], int] = {}
        """By fabric and parts: since when they are called down and carry packets."""
        self._up_since_ns: dict[tuple[object, ...], int] = {}
        """By fabric, object, field and subject: since when a claim has not said that something is down."""
        self._open: dict[str, Finding] = {}
        self._past: deque[Finding] = deque(maxlen=_PAST)
        self._now_ns = 0

    def hear(self, claims: tuple[Claim, ...]) -> None:
        """Everything that fabrics claim now, by our cluster names."""
        if claims != self._claims:
            self._claims, self._subjects = claims, None

    def see(
        self, index: PlanIndex, observation: IntervalObservation | None, findings: Sequence[Finding], *,
        now_ns: int,
    ) -> None:  # fmt: skip
        """Open and close findings, given what packets led to and the last interval."""
        self._now_ns = now_ns
        self._up_since_ns = {
            _key_of(claim): self._up_since_ns.get(_key_of(claim), now_ns)
            for claim in self._claims
            if claim.state is not ClaimState.DOWN
        }
        if self._subjects is None or index is not self._index:
            self._subjects, self._index = ClaimSubjects(self._claims, index), index
        found = {}
        for one in (*self._called_up(findings), *self._called_down(index, observation)):
            before = self._open.get(one.key)
            found[one.key] = self._finding(one, since_ns=before.first_seen_ns if before else now_ns)
        for key, before in self._open.items():
            if key not in found:
                self._past.append(replace(before, ended_ns=now_ns))
        self._open = found

    @property
    def current(self) -> tuple[Claim, ...]:
        """What is claimed now; a claimant that has stopped writing claims nothing."""
        return tuple(claim for claim in self._claims if not self._is_silent(claim))

    @property
    def open(self) -> tuple[Finding, ...]:
        """Where claims and packets disagree now."""
        return tuple(self._open.values())

    @property
    def past(self) -> tuple[Finding, ...]:
        """Where they did, newest first."""
        return tuple(reversed(self._past))

    def quote(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """*findings*, those about dead parts with what fabrics say about these parts."""
        for finding in findings:
            claims = self._current(finding) if finding.cause in _DEAD_CAUSES else ()
            down = tuple(claim for claim in claims if claim.state is ClaimState.DOWN)
            up = tuple(claim for claim in claims if claim.state.is_well)
            if claims:
                yield replace(
                    finding,
                    evidence_for=(*finding.evidence_for, *self._quotes(down)),
                    evidence_against=(*finding.evidence_against, *self._quotes(up)),
                )
            else:
                yield finding

    def _current(self, finding: Finding) -> tuple[Claim, ...]:
        """Claims about the parts of a finding whose claimants still write."""
        if self._subjects is None:
            return ()
        about = self._subjects.about
        found = dict.fromkeys(claim for part in finding.components for claim in about.get(part, ()))
        return tuple(claim for claim in found if not self._is_silent(claim))

    def _is_silent(self, claim: Claim) -> bool:
        return claim.is_stale(now_ns=self._now_ns, allowance_ns=CLOCK_ALLOWANCE_NS)

    def _called_up(self, findings: Sequence[Finding]) -> Iterator[_Disagreement]:
        """Claims of well-being about parts that packets found dead for longer than the claimant needs."""
        for finding in findings:
            if finding.cause not in _DEAD_CAUSES:
                continue
            for claims in _by_fabric(
                claim
                for claim in self._current(finding)
                if claim.state.is_well and self._is_due(claim, finding)
            ):
                packets = Evidence(Prose(f"packets: {finding.summary}"), finding.affected)
                parts = self._shared_parts(claims, finding.components)
                yield _Disagreement(Note.CLAIMED_UP, parts, claims, packets, finding.confidence)

    def _is_due(self, claim: Claim, finding: Finding) -> bool:
        """Whether its claimant had the time to notice, since both the fault and its own last change."""
        since_ns = max(finding.first_seen_ns, self._up_since_ns[_key_of(claim)])
        return self._now_ns - since_ns >= CLAIMS[claim.kind].lag_ns

    def _shared_parts(self, claims: Iterable[Claim], parts: tuple[Component, ...]) -> tuple[Component, ...]:
        assert self._subjects is not None
        claimed = {part for claim in claims for part in self._subjects.parts[claim]}
        return tuple(part for part in parts if part in claimed)

    def _called_down(
        self, index: PlanIndex, observation: IntervalObservation | None
    ) -> Iterator[_Disagreement]:
        """Claims of failure about parts that passed what healthy ones pass, for as long."""
        assert self._subjects is not None
        claimed: dict[tuple[str, tuple[Component, ...]], list[Claim]] = {}
        for claim, parts in self._subjects.parts.items():
            if claim.state is ClaimState.DOWN and not self._is_silent(claim):
                # What a node sends elsewhere takes the same overlay and may be lost behind it.
                own = tuple(part for part in parts if part.route_target is not None) or parts
                claimed.setdefault((claim.fabric, own), []).append(claim)
        well_since_ns = {}
        for key, claims in claimed.items():
            _, parts = key
            passage = _find_passage(index, observation, parts)
            if passage is None:
                continue
            well_since_ns[key] = since_ns = self._well_since_ns.get(key, self._now_ns)
            if self._now_ns - since_ns >= max(CLAIMS[claim.kind].lag_ns for claim in claims):
                told = f"packets: {passage.answered} of {passage.asked} probes that cross it were answered"
                checks = index.ids(passage.checks[:_NAMED_CHECKS])
                packets = Evidence(Prose(f"{told} in the last interval"), checks)
                yield _Disagreement(Note.CLAIMED_DOWN, parts, tuple(claims), packets)
        self._well_since_ns = well_since_ns

    def _finding(self, one: _Disagreement, *, since_ns: int) -> Finding:
        symptom = Symptom(part_kind(one.parts[0]), note=one.note)
        supposed = build_hypothesis(
            symptom, one.parts, core=(), words={"detail": CLAIMS[one.claims[0].kind].claimant}
        )
        return Finding(
            id=f"{supposed.cause}:{one.key}",
            components=one.parts,
            cause=supposed.cause,
            confidence=round(supposed.row.confidence * one.certainty, 4),
            summary=supposed.summary,
            evidence_for=(*self._quotes(one.claims), one.packets),
            affected=one.packets.checks if one.note is Note.CLAIMED_UP else (),
            first_seen_ns=since_ns,
            last_seen_ns=self._now_ns,
            next_step=supposed.row.next_step,
        )

    def _quotes(self, claims: tuple[Claim, ...]) -> tuple[Evidence, ...]:
        quotes = tuple(Evidence(quote_claim(claim, now_ns=self._now_ns)) for claim in claims[:_QUOTED])
        more = len(claims) - _QUOTED
        return (*quotes, Evidence(Prose(f"and {more} claims more of the same"))) if more > 0 else quotes


def _key_of(claim: Claim) -> tuple[object, ...]:
    """What a claim is, whatever it says."""
    return claim.fabric, claim.object, claim.field, claim.subject


def _by_fabric(claims: Iterable[Claim]) -> Iterator[tuple[Claim, ...]]:
    """Claims of one fabric together, in the order in which they came."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.fabric, []).append(claim)
    yield from map(tuple, found.values())


@dataclass(frozen=True, slots=True)
class _Passage:
    """What crossed some parts in one interval."""

    checks: tuple[int, ...]
    asked: int
    answered: int


def _find_passage(
    index: PlanIndex, observation: IntervalObservation | None, parts: tuple[Component, ...]
) -> _Passage | None:
    """What crossed *parts*; None unless each of them was crossed and lost no more than healthy links do."""
    if observation is None:
        return None
    seen = observation.seen
    crossed: set[int] = set()
    for part in parts:
        numbers = np.fromiter(index.crossing.get(part, ()), np.int64)
        asked, answered = int(seen.asked[numbers].sum()), int(seen.reached[numbers].sum())
        if not asked or asked - answered > max(1, _HEALTHY_LOSS * asked):
            return None
        crossed.update(numbers[seen.asked[numbers] > 0].tolist())
    every = np.fromiter(sorted(crossed), np.int64)
    return _Passage(tuple(sorted(crossed)), int(seen.asked[every].sum()), int(seen.reached[every].sum()))
