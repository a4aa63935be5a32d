"""Queries are answered from the latest conclusion; what is not known yet is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.errors import SystemRefusedError
from netprobe.model.finding import Cause
from netprobe.model.intent import CellVerdict, Deviation
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.wire.conclusions import decode_snapshot
from netprobe.wire.intent_watch import IntentReport, encode_watched
from tests.unit.collector.parts import collector_parts

PROD = ClusterName("prod")
LEAK = Deviation(CellVerdict.LEAK, PROD, "dev", "no metrics", 3, Prose("prod/w1/pod → dev/w1/pod"))


async def test_before_the_first_conclusion_a_snapshot_is_refused(tmp_path: Path) -> None:
    with (
        collector_parts(tmp_path) as here,
        pytest.raises(SystemRefusedError, match=r"^no analysis is available yet"),
    ):
        await here.service.queries.answer_snapshot(b"")


async def test_a_snapshot_is_encoded_once_per_conclusion(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        here.service.analysis.run_analysis(now_ns=1)
        first = await here.service.queries.answer_snapshot(b"")
        assert await here.service.queries.answer_snapshot(b"") is first
        here.service.analysis.run_analysis(now_ns=2)
        assert decode_snapshot(await here.service.queries.answer_snapshot(b"")).taken_ns == 2


async def test_a_watched_intent_shows_at_once_and_is_archived_when_it_ends(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        here.service.analysis.run_analysis(now_ns=1)
        await here.service.queries.answer_snapshot(b"")
        watched = IntentReport("one", "intent.yaml", 3_600_000_000_000, (LEAK,))
        await here.service.queries.take_watched(encode_watched(watched))
        snapshot = decode_snapshot(await here.service.queries.answer_snapshot(b""))
        assert Cause.INTENT_LEAK in {finding.cause for finding in snapshot.findings}
        await here.service.queries.take_watched(
            encode_watched(IntentReport("one", "intent.yaml", 3_600_000_000_000))
        )
        assert [finding.cause for finding in here.history.incidents_since(0)] == [Cause.INTENT_LEAK]


async def test_health_is_answered_before_the_first_conclusion(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        health = json.loads(await here.service.queries.answer_health(b""))
        assert (health["analysis_errors"], health["last_report_ns"]) == (0, None)
        assert health["agents_planned"] == len(here.rotation.fleet.plans)
