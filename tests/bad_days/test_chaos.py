"""Each bad day of ``python -m benchmarks chaos`` once, small: nothing needless is lost, nothing lies."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.chaos.experiments import EXPERIMENTS
from benchmarks.chaos.namespaces import find_refusal
from tests.unit.nats_server import needs_nats_server

HEALED = ("reports_unexplained", "destroyed_unsaid", "green_while_unmeasured", "restarts_by_hand")


@needs_nats_server
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_heals_by_itself_and_counts_honestly(name: str) -> None:
    if refusal := find_refusal():
        pytest.skip(f"namespaces are refused here: {refusal}")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "chaos", "--json", "--small", "--only", name],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {key: told[key] for key in HEALED} == dict.fromkeys(HEALED, 0), done.stderr
    assert told["reports_sent"] == told["reports_stored"] > 0
    assert told["reports_destroyed"] == 0
    assert told["seconds_unseen"] != float("inf")
