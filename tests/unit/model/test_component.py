"""Components are written for people and read back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model.component import Component, ComponentKind, Written

NAMES = st.from_regex(r"[a-z0-9][a-z0-9./-]{0,20}", fullmatch=True)


@given(
    kind=st.sampled_from(ComponentKind), source=NAMES, target=st.just("") | NAMES, detail=st.just("") | NAMES
)
def test_what_is_written_reads_back(kind: ComponentKind, source: str, target: str, detail: str) -> None:
    component = Component(kind, Written(source), Written(target), Written(detail))
    assert Component.parse(str(component)) == component


@pytest.mark.parametrize("text", ["", "tunnel", "tunnel()", "bridge(a)", "tunnel(a→)", "tunnel(a→b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a component"):
        Component.parse(text)
