"""Only holders of the fleet's key may have a connection held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.wire.hold_request import MAX_HOLD_S, decode_hold, encode_hold, read_asker
from netprobe.wire.stamp import Seal

KEY = b"k" * 32


@given(st.integers(0, 99_999))
def test_there_and_back(seconds: int) -> None:
    target = encode_hold(seconds, seal=Seal(KEY)).split()[1]
    assert decode_hold(target, key=KEY) == (seconds if seconds <= MAX_HOLD_S else None)
    assert decode_hold(target, key=b"another") is None


@given(st.binary(max_size=60))
def test_other_requests_hold_nothing(target: bytes) -> None:
    assert decode_hold(target, key=KEY) is None
    assert decode_hold(b"/hold/" + target, key=KEY) is None


@pytest.mark.parametrize("asker", [b"", b"prod/w1/pod"])
def test_a_request_says_whose_key_it_needs(asker: bytes) -> None:
    head = encode_hold(30, seal=Seal(KEY, asker))
    assert read_asker(head) == asker
    assert decode_hold(head.split()[1], key=KEY) == 30
