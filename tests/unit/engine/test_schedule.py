"""Probes are spread, each inside its own part of the interval."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.schedule import BATCH, SPREAD_PERCENT, deduplicate_per_tick, grace_ns, spread, tick_of
from netprobe.model.check import Probe
from tests.unit.probes.questions import make_check

INTERVAL_NS = 1_000_000_000


@given(counts=st.lists(st.integers(1, 9), max_size=5), seed=st.integers())
def test_every_probe_has_its_own_part_of_the_interval(counts: list[int], seed: int) -> None:
    checks = [make_check(Probe("icmp"), address=f"10.0.0.{n}", count=count) for n, count in enumerate(counts)]
    slots = spread(checks, interval_ns=INTERVAL_NS, rng=random.Random(seed))
    assert [slot.offset_ns for slot in slots] == sorted(slot.offset_ns for slot in slots)
    usable_ns = INTERVAL_NS * SPREAD_PERCENT // 100
    for check in checks:
        offsets = [slot.offset_ns for slot in slots if slot.check == check]
        for ordinal, offset in enumerate(offsets):
            part = range(ordinal * usable_ns // check.count, (ordinal + 1) * usable_ns // check.count)
            assert offset in part or offset == part.start == part.stop


def test_the_same_seed_gives_the_same_times() -> None:
    checks = [make_check(Probe("icmp"))]
    one, other = (spread(checks, interval_ns=INTERVAL_NS, rng=random.Random(4)) for _ in range(2))
    assert one == other


def test_the_grace_lets_the_last_answer_in_that_a_peer_held() -> None:
    checks = [make_check(Probe("icmp", timeout_ns=500_000_000))]
    held_ns = tick_of(INTERVAL_NS)
    assert grace_ns(checks, interval_ns=INTERVAL_NS, margin_ns=0) == 300_000_000 + held_ns
    assert grace_ns(checks, interval_ns=10 * INTERVAL_NS, margin_ns=0) == 0  # the spread leaves time enough


def test_a_tick_is_a_tenth_of_the_interval_and_at_most_a_second() -> None:
    assert tick_of(INTERVAL_NS) == INTERVAL_NS // 10
    assert tick_of(10 * INTERVAL_NS) == tick_of(3600 * INTERVAL_NS) == INTERVAL_NS


def test_a_large_plan_has_ticks_short_enough_for_a_batch() -> None:
    interval_ns = 10 * INTERVAL_NS
    assert tick_of(interval_ns, probes=1_000) == INTERVAL_NS
    ticks = interval_ns * SPREAD_PERCENT // 100 // tick_of(interval_ns, probes=10_000)
    assert 10_000 // ticks <= BATCH


@given(st.lists(st.integers(0, 3), max_size=12))
def test_no_check_occurs_twice_in_a_batch(numbers: list[int]) -> None:
    checks = [make_check(Probe("icmp"), address=f"10.0.0.{number}") for number in numbers]
    batches = list(deduplicate_per_tick(checks))
    assert [check for batch in batches for check in batch] == checks
    assert all(len(set(batch)) == len(batch) > 0 for batch in batches)
