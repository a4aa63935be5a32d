"""The fuzz targets without the fuzzer: seeds, damaged seeds and random bytes are read or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, load


@pytest.mark.parametrize("name", TARGETS)
@given(noise=st.binary(max_size=400))
def test_noise_is_read_or_refused(name: str, noise: bytes) -> None:
    load(name).feed(noise)  # does not raise


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_a_damaged_packet_is_read_or_refused(name: str, data: st.DataObject) -> None:
    target = load(name)
    seed = bytearray(data.draw(st.sampled_from(target.SEEDS)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(seed) - 1), st.integers(0, 255)))):
        seed[at] = value
    target.feed(bytes(seed[: data.draw(st.integers(0, len(seed)))]))
    target.feed(bytes(seed))  # does not raise


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_fed(name: str) -> None:
    target = load(name)
    assert target.SEEDS
    for seed in target.SEEDS:
        target.feed(seed)
