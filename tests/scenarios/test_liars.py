"""One agent lies, all others are honest: no innocent part is blamed with confidence."""

from __future__ import annotations

import pytest

from netprobe.analysis.diagnosis.hypothesis import ONE_NODE_CONFIDENCE
from netprobe.model.finding import Finding
from netprobe.model.names import AgentId
from tests.scenarios.liar import LIES, Lie, hear

WORKER = AgentId.parse("prod-us-west-1/w1/pod")
GATEWAY = AgentId.parse("dev-on-premise/gw/pod")


def find_worst(liar: AgentId, lie: Lie, *, seed: int) -> dict[str, Finding]:
    """Every finding of the run, by its id, as confident as it ever was."""
    found: dict[str, Finding] = {}
    for said in hear(liar, lie, seed=seed):
        for finding in said.findings:
            if finding.id not in found or finding.confidence > found[finding.id].confidence:
                found[finding.id] = finding
    return found


def is_harmless(finding: Finding, liar: AgentId) -> bool:
    """Whether it blames only what is the liar's own, or says how little the word of one node is worth."""
    is_its_own = all(part.node == liar.node_id and not part.target for part in finding.components)
    return is_its_own or (finding.confidence <= ONE_NODE_CONFIDENCE and bool(finding.evidence_against))


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("liar", [WORKER, GATEWAY], ids=["worker", "gateway"])
def test_no_innocent_part_is_blamed_with_confidence(liar: AgentId, lie: str) -> None:
    found = find_worst(liar, LIES[lie], seed=1).values()
    assert [finding for finding in found if not is_harmless(finding, liar)] == []
