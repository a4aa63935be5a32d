"""Applies gateways' statements to a finding: its evidence and its confidence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.gateway_evidence.correlation import CrossEvidence, find_correlated_statements
from netprobe.analysis.gateway_evidence.statements import (
    GatewayReadings,
    Statement,
    count_packets,
    find_statements,
)
from netprobe.model.component import ComponentKind
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.gateway import RuleCounter
from netprobe.model.inventory import Inventory
from netprobe.model.prose import Prose

_BOUNDS = (0.02, 0.98)
_NOTHING_ELSE = CrossEvidence()


def weigh_finding(
    finding: Finding,
    witnesses: Iterable[GatewayReadings],
    *,
    inventory: Inventory,
    heard: CrossEvidence = _NOTHING_ELSE,
) -> Finding:
    """Return *finding* with what its gateways say for and against it, and its confidence moved by that."""
    asked = tuple(witnesses)
    finding = _read_again(finding, asked)
    statements = [
        *(told for one in asked for told in find_statements(finding, one, inventory=inventory)),
        *find_correlated_statements(finding, asked, inventory=inventory, heard=heard),
    ]
    # A factor of one is a remark: worth reading beside what speaks for the finding, moving nothing.
    strongest = sorted(statements, key=lambda told: -told.factor)
    speaks_for = tuple(Evidence(Prose(told.text)) for told in strongest if told.factor >= 1)
    against = tuple(Evidence(Prose(told.text)) for told in strongest if told.factor < 1)
    return replace(
        finding,
        confidence=_moved(finding.confidence, statements),
        # First, because a person reads it in full only from the top.
        evidence_for=(*speaks_for, *finding.evidence_for),
        evidence_against=(*against, *finding.evidence_against),
    )


def _read_again(finding: Finding, witnesses: Iterable[GatewayReadings]) -> Finding:
    """Read the table again for a silent port whose host dropped packets as invalid: `asymmetric-route`."""
    door = finding.components[0]
    if finding.cause is not Cause.POLICY_DROP or door.kind is not ComponentKind.FIREWALL_RULE:
        return finding
    hosts = (one for one in witnesses if one.after.node == str(door.source))
    if not any(count_packets(one, rule) > 0 for one in hosts for rule in _invalid_rules(one)):
        return finding
    found = build_hypothesis(Symptom(door.kind, note=Note.INVALID), finding.components, core=())
    return replace(
        finding,
        summary=Prose(found.summary),
        next_step=Prose(found.row.next_step),
        confidence=found.row.confidence,
    )


def _invalid_rules(witness: GatewayReadings) -> Iterator[RuleCounter]:
    for fact in witness.after.facts:
        if isinstance(fact, RuleCounter) and fact.invalid_only and fact.verdict == "drop":
            yield fact


def _moved(confidence: float, statements: Sequence[Statement]) -> float:
    """Odds times every factor, kept within bounds; unchanged where all factors are 1.

    >>> _moved(0.75, [Statement("", 3.0)])
    0.9
    """
    if all(told.factor == 1 for told in statements):
        return confidence
    low, high = _BOUNDS
    known = min(max(confidence, low), high)
    odds = known / (1 - known)
    for told in statements:
        odds *= told.factor
    return min(max(round(odds / (1 + odds), 4), low), max(high, confidence))
