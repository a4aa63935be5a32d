"""Two faults at once, or one while the other stands: each named right, and nothing else is ever said."""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netprobe.simulate.effects import SimulatedFault
from tests.scenarios.player import at, play, strike

PAIRS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "pairs.toml").read_text())["pair"]


def make(fault: dict[str, str]) -> SimulatedFault:
    return strike(fault["kind"], **{key: value for key, value in fault.items() if key != "kind"})


def name_of(pair: dict[str, Any]) -> str:
    return f"{' '.join(pair['first'].values())} and {' '.join(pair['second'].values())}"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "pair"), list(enumerate(PAIRS)), ids=[name_of(pair) for pair in PAIRS])
def test_both_are_named_right_and_nothing_else(number: int, pair: dict[str, Any]) -> None:
    chance = Random(number)
    begin_s, gap_s = 8 + chance.random(), pair["gap_s"] + chance.random()
    first = at(make(pair["first"]), begin_s, end_s=22 + chance.random())
    second = at(make(pair["second"]), begin_s + gap_s, end_s=22 + chance.choice([0, 2]) + chance.random())
    outcome = play([first, second], seed=number, intervals=34)
    assert outcome.false == {}
    assert set(outcome.named_after_s) == {first.name, second.name}
    assert outcome.left_open == ()
