"""An ambiguous finding is narrowed down with checks, in few rounds while no agent can answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from netprobe.collector.narrowing_loop import MAX_ROUNDS
from netprobe.model.check import Check
from tests.unit.collector.parts import Collector, ListBus, collector_parts, delivery_of
from tests.unit.collector.test_service import measure


async def conclude_ambiguous(here: Collector) -> None:
    """Let the analyst have a finding that names the node or its pods."""
    await here.service.ingest.take(ListBus([delivery_of(measure(here.rotation.fleet.plans[0], 1))]))
    here.service.analysis.run_analysis(now_ns=1)


async def test_answers_leave_one_component(tmp_path: Path) -> None:
    async def answer_but_pods_of_w1(check: Check) -> bool:
        return "prod/w1/pod" not in {str(check.source), check.target.name}

    with collector_parts(tmp_path) as here:
        await conclude_ambiguous(here)
        await here.service.narrowing.narrow_findings(answer_but_pods_of_w1, Counter())
        here.service.analysis.run_analysis(now_ns=2)
        conclusion = here.service.analysis.conclusion
        assert conclusion is not None
        (narrowed,) = [finding for finding in conclusion.findings if finding.id == "ambiguous"]
        assert narrowed.indistinguishable == ()


async def test_agents_that_cannot_answer_are_asked_in_three_rounds(tmp_path: Path) -> None:
    asked: list[Check] = []

    async def cannot_answer(check: Check) -> None:
        asked.append(check)

    with collector_parts(tmp_path) as here:
        await conclude_ambiguous(here)
        rounds: Counter[tuple[str, int]] = Counter()
        per_round = []
        for _ in range(MAX_ROUNDS + 1):
            before = len(asked)
            await here.service.narrowing.narrow_findings(cannot_answer, rounds)
            per_round.append(len(asked) - before)
        assert all(per_round[:MAX_ROUNDS])
        assert per_round[MAX_ROUNDS] == 0
