"""One agent lies, all others are honest: no innocent part is blamed with confidence."""

from __future__ import annotations

import pytest

from netprobe.analysis.diagnosis.hypothesis import ONE_NODE_CONFIDENCE
from netprobe.model.finding import Finding
from netprobe.model.names import AgentId
from tests.scenarios.liar import LIES, hear

WORKER = AgentId.parse("prod-us-west-1/w1/pod")
GATEWAY = AgentId.parse("dev-on-premise/gw/pod")


def worst(liar: AgentId, lie: str, *, seed: int) -> dict[str, Finding]:
    """Every finding of the run, by its id, as confident as it ever was."""
    found: dict[str, Finding] = {}
    for said in hear(liar, LIES[lie], seed=seed):
        for finding in said.findings:
            if finding.id not in found or finding.confidence > found[finding.id].confidence:
                found[finding.id] = finding
    return found


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("liar", [WORKER, GATEWAY], ids=["worker", "gateway"])
def test_no_innocent_part_is_blamed_with_confidence(liar: AgentId, lie: str) -> None:
    for finding in worst(liar, lie, seed=1).values():
        is_its_own = all(part.node == liar.node_id and not part.target for part in finding.components)
        assert is_its_own or finding.confidence <= ONE_NODE_CONFIDENCE, finding
        assert is_its_own or finding.evidence_against, finding
