"""Probes are spread, each inside its own part of the interval."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.schedule import SPREAD_PERCENT, grace_ns, spread, tick_of
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
        tick_ns = INTERVAL_NS // 40
        for ordinal, offset in enumerate(offsets):
            part = range(ordinal * usable_ns // check.count, (ordinal + 1) * usable_ns // check.count)
            assert part.start - tick_ns < offset < part.stop


def test_the_same_seed_gives_the_same_times() -> None:
    checks = [make_check(Probe("icmp"))]
    one, other = (spread(checks, interval_ns=INTERVAL_NS, rng=random.Random(4)) for _ in range(2))
    assert one == other


def test_the_grace_lets_the_last_answer_in() -> None:
    checks = [make_check(Probe("icmp", timeout_ns=500_000_000))]
    assert grace_ns(checks, interval_ns=INTERVAL_NS, margin_ns=0) == 300_000_000
    assert grace_ns(checks, interval_ns=10 * INTERVAL_NS, margin_ns=0) == 0


def test_a_thousand_probes_need_no_more_than_ten_wakings_a_second() -> None:
    interval_ns = 10 * INTERVAL_NS
    checks = [make_check(Probe("icmp"), address=f"10.0.{n // 250}.{n % 250}") for n in range(1_000)]
    slots = spread(checks, interval_ns=interval_ns, rng=random.Random(1))
    assert len({slot.offset_ns for slot in slots}) <= 10 * 10
    assert tick_of(interval_ns) == INTERVAL_NS // 10
    assert tick_of(INTERVAL_NS) == INTERVAL_NS // 40
