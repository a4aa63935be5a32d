"""Keys of asker and responder: the same on both sides, and different for every other name and epoch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.wire.pair_keys import KEY_BYTES, derive_asker_key, derive_responder_key
from netprobe.wire.stamp import short_name

NAMES = st.text(min_size=1, max_size=90)
EPOCHS = st.integers(0, 10**6)


@given(
    names=st.lists(NAMES, min_size=2, max_size=4, unique=True),
    epochs=st.lists(EPOCHS, min_size=1, max_size=3),
)
def test_every_name_and_epoch_has_a_key_of_its_own(names: list[str], epochs: list[int]) -> None:
    made = {derive_responder_key(b"m", name, key_epoch=epoch) for name in names for epoch in set(epochs)}
    assert len(made) == len(names) * len(set(epochs))
    assert {len(key) for key in made} == {KEY_BYTES}


@given(one=NAMES, other=NAMES, responder=NAMES)
def test_the_key_of_one_asker_is_not_that_of_another(one: str, other: str, responder: str) -> None:
    key = derive_responder_key(b"m", responder, key_epoch=1)
    asked = [derive_asker_key(key, short_name(name)) for name in (one, other)]
    assert (asked[0] == asked[1]) == (short_name(one) == short_name(other))
    assert key not in asked


def test_an_epoch_cannot_be_taken_for_the_beginning_of_a_name() -> None:
    assert derive_responder_key(b"m", "1 a", key_epoch=1) != derive_responder_key(b"m", "a", key_epoch=11)
