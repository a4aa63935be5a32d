"""What other versions of a system write: a field that is not as we know it is skipped, named, never fatal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.discovery.fabrics import READABLE, ReadableFabric
from netprobe.model.fabric import FabricFacts
from tests.unit.discovery.fabrics.object_changes import ObjectChange, changes_of
from tests.unit.discovery.fabrics.readings import read
from tests.unit.discovery.fabrics.test_registry import expect_calm
from tests.unit.discovery.fabrics.whole_objects import WHOLE

BY_NAME = {fabric.NAME: fabric for fabric in READABLE}
EACH = pytest.mark.parametrize("name", BY_NAME)


def without_problems(facts: FabricFacts) -> FabricFacts:
    return replace(facts, unread=())


def is_of_another_type(change: ObjectChange, objects: dict[str, list[Any]]) -> bool:
    """Whether the new value is not of the type of the old one; an empty one is as good as none in the API."""
    found: Any = objects[change.resource][change.number]
    for each in change.place:
        found = found[each]
    return bool(change.value) and type(change.value) is not type(found)


@EACH
def test_every_kind_is_here_and_is_read_without_a_problem(name: str) -> None:
    fabric: ReadableFabric = BY_NAME[name]
    assert WHOLE[name].keys() == {kind.resource for kind in fabric.KINDS}
    found = read(fabric, WHOLE[name])
    assert found.unread == ()
    assert without_problems(found) != FabricFacts(fabric.NAME)


@EACH
@given(data=st.data())
def test_a_missing_field_is_never_fatal_and_a_renamed_one_is_missing(name: str, data: st.DataObject) -> None:
    change = data.draw(changes_of(WHOLE[name]))
    missing = read(BY_NAME[name], change.removed_from(WHOLE[name]))
    expect_calm(missing)
    if not isinstance(change.place[-1], int):
        assert read(BY_NAME[name], change.renamed_in(WHOLE[name])) == missing


@EACH
@given(data=st.data())
def test_a_field_of_another_type_is_as_good_as_missing_and_named(name: str, data: st.DataObject) -> None:
    objects = WHOLE[name]
    change = data.draw(changes_of(objects).filter(lambda one: is_of_another_type(one, objects)))
    missing = read(BY_NAME[name], change.removed_from(objects))
    odd = read(BY_NAME[name], change.replaced_in(objects))
    expect_calm(odd)
    decides = without_problems(missing) != without_problems(read(BY_NAME[name], objects))
    # A number may be a port where others write its digits: then it is read, and nothing is named.
    is_skipped = without_problems(odd) == without_problems(missing)
    assert odd.unread or not (decides and is_skipped)


@EACH
@given(data=st.data())
def test_many_changes_at_once_are_never_fatal(name: str, data: st.DataObject) -> None:
    objects = WHOLE[name]
    for _ in range(data.draw(st.integers(1, 6))):
        objects = data.draw(changes_of(objects)).replaced_in(objects)
    expect_calm(read(BY_NAME[name], objects))
