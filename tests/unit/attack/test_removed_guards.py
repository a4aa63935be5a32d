"""Each attack can fail: without the guard that closes its fault, it falls."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.attack import __main__ as command
from tests.attack.experiments import EXPERIMENTS
from tests.attack.removed_guards import FAULTS, REMOVED_GUARDS, RemovedGuard
from tests.unit.attack.skips import skip_where_refused
from tests.unit.nats_server import needs_nats_server


def test_every_fault_has_a_guard_that_is_taken_away() -> None:
    assert dict.fromkeys(row.fault for row in REMOVED_GUARDS) == dict.fromkeys(FAULTS)


def test_every_kind_of_attack_falls_without_some_guard() -> None:
    assert {kind for row in REMOVED_GUARDS for kind in row.kinds} == EXPERIMENTS.keys()


@pytest.mark.slow
@needs_nats_server
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", REMOVED_GUARDS, ids=lambda row: f"{row.fault} {row.remove.__name__}")
async def test_without_the_guard_the_attack_falls(row: RemovedGuard) -> None:
    skip_where_refused(*row.kinds)
    tallies = await row.attack()
    assert row.is_found(tallies), {kind: tally.fell for kind, tally in tallies.items()}


@pytest.mark.parametrize(("is_removed", "code"), [(True, 0), (False, 1)])
def test_an_attack_that_does_not_fall_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_removed: bool, code: int
) -> None:
    (row,) = (one for one in REMOVED_GUARDS if one.kinds == ("addresses",))
    row = row if is_removed else replace(row, remove=nullcontext)
    monkeypatch.setattr(command, "REMOVED_GUARDS", (row,))
    assert command.attack_without_guards([row.fault], as_json=True) == code
    said = json.loads(capsys.readouterr().out)[row.fault]
    assert said["found"] is is_removed
    assert said["tried"] == said["held"] + said["fell"] > 0
