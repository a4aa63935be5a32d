"""Makes a finding where a gateway reports its tunnel as connected and packets do not pass. Pure.

Rule: it is added beside the finding that packets led to and never replaces it. It says that one of the two is
wrong about the tunnel, and that monitoring based on the gateway's own status sees nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.decision_table import read_table
from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom
from netprobe.analysis.gateway_evidence.statements import GatewayReadings, Statement, find_statements
from netprobe.model.component import ComponentKind
from netprobe.model.finding import Evidence, Finding
from netprobe.model.inventory import Inventory
from netprobe.model.prose import Prose

SYMPTOM = Symptom(ComponentKind.TUNNEL, note=Note.CALLED_CONNECTED)


def find_contradictions(
    findings: Iterable[Finding], witnesses: Iterable[GatewayReadings], *, inventory: Inventory
) -> tuple[Finding, ...]:
    """One finding for each of *findings* that gateways contradict.

    *findings* are as packets told them, not weighed yet: a contradiction is as sure as the packets are.
    """
    asked = tuple(witnesses)
    return tuple(
        _contradicted(finding, statements)
        for finding in findings
        if (statements := tuple(_against(finding, asked, inventory)))
    )


def _against(
    finding: Finding, witnesses: Iterable[GatewayReadings], inventory: Inventory
) -> Iterator[Statement]:
    for one in witnesses:
        told = find_statements(finding, one, inventory=inventory)
        yield from (statement for statement in told if statement.contradicts)


def _contradicted(finding: Finding, statements: tuple[Statement, ...]) -> Finding:
    row = read_table(SYMPTOM)
    tunnels = tuple(part for part in finding.components if part.kind is ComponentKind.TUNNEL)
    supposed = build_hypothesis(SYMPTOM, tunnels, core=())
    packets = Evidence(Prose(f"packets: {finding.summary}"), finding.affected)
    return Finding(
        id=f"{row.cause}:{'+'.join(map(str, tunnels))}",
        components=tunnels,
        cause=row.cause,
        confidence=round(row.confidence * finding.confidence, 4),
        summary=Prose(supposed.summary),
        evidence_for=(*(Evidence(Prose(told.text)) for told in statements), packets),
        affected=finding.affected,
        first_seen_ns=finding.first_seen_ns,
        last_seen_ns=finding.last_seen_ns,
        next_step=Prose(row.next_step),
    )
