from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import MisuseError
from netprobe.planning.circulant import (
    assign_slots,
    follow,
    node_keys,
    offsets_of,
    slot_count,
)

NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=40, unique=True)


def neighbours(names: list[str], offset: int, *, slots: int) -> dict[str, str]:
    """Pairs of source and target, by name."""
    target = follow(assign_slots(node_keys(names), slots), slots=slots, offset=offset)
    return {name: names[index] for name, index in zip(names, target.tolist(), strict=True)}


@given(st.integers(1, 5000))
def test_slots_are_a_prime_at_least_twice_the_nodes(nodes: int) -> None:
    slots = slot_count(nodes)
    assert slots >= 2 * nodes
    assert all(slots % divisor for divisor in range(2, int(slots**0.5) + 1))


@given(NAMES)
def test_every_node_has_its_own_slot_whatever_the_order(names: list[str]) -> None:
    slots = slot_count(len(names))
    forwards = assign_slots(node_keys(names), slots)
    backwards = assign_slots(node_keys(names[::-1]), slots)
    assert len(set(forwards.tolist())) == len(names)
    assert forwards.tolist() == backwards[::-1].tolist()


@given(NAMES, st.data())
def test_every_node_asks_once_and_is_asked_once_per_offset(names: list[str], data: st.DataObject) -> None:
    slots = slot_count(len(names))
    asked = neighbours(names, data.draw(st.integers(1, slots - 1)), slots=slots)
    assert sorted(asked.values()) == sorted(names)
    assert all(source != target for source, target in asked.items())


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=12, unique=True), st.integers(0, 99))
def test_over_all_epochs_every_ordered_pair_is_asked(names: list[str], seed: int) -> None:
    slots = slot_count(len(names))
    asked = set()
    for epoch in range(slots - 1):
        for offset in offsets_of(epoch, slots=slots, degree=1, seed=seed).tolist():
            asked |= set(neighbours(names, offset, slots=slots).items())
    assert len(asked) == len(names) * (len(names) - 1)


@given(st.integers(3, 500), st.integers(0, 50), st.integers(0, 9))
def test_offsets_never_meet_their_opposite_in_one_epoch(nodes: int, epoch: int, seed: int) -> None:
    slots = slot_count(nodes)
    offsets = offsets_of(epoch, slots=slots, degree=2, seed=seed).tolist()
    assert len({min(offset, slots - offset) for offset in offsets}) == 2


@given(NAMES, st.text(min_size=7, max_size=9), st.data())
def test_a_node_more_changes_few_checks_elsewhere(names: list[str], new: str, data: st.DataObject) -> None:
    """One check per offset, and two more for each node that the new one displaces from its slot."""
    slots = slot_count(len(names) + 1)
    offset = data.draw(st.integers(1, slots - 1))
    before, after = neighbours(names, offset, slots=slots), neighbours([*names, new], offset, slots=slots)
    slot_before = assign_slots(node_keys(names), slots)
    displaced = int((slot_before != assign_slots(node_keys([*names, new]), slots)[:-1]).sum())
    changed = sum(before[name] != after[name] for name in names)
    assert changed <= 1 + 3 * displaced


def test_on_average_a_new_node_displaces_less_than_one_other() -> None:
    slots = slot_count(1024)
    names = [f"node-{number}" for number in range(1023)]
    old = assign_slots(node_keys(names), slots)
    displaced = [
        int((assign_slots(node_keys([*names, f"new-{number}"]), slots)[:-1] != old).sum())
        for number in range(200)
    ]
    assert np.mean(displaced) < 1


@pytest.mark.parametrize(
    ("keys", "slots"),
    [pytest.param([1, 2, 3], 2, id="too few slots"), pytest.param([7, 7], 5, id="same key twice")],
)
def test_nodes_that_do_not_fit_are_refused(keys: list[int], slots: int) -> None:
    with pytest.raises(MisuseError, match="do not fit"):
        assign_slots(np.array(keys, np.uint64), slots)


def test_more_offsets_than_there_are_is_refused() -> None:
    with pytest.raises(MisuseError, match="3 offsets per epoch are more than the 2"):
        offsets_of(0, slots=5, degree=3, seed=0)
