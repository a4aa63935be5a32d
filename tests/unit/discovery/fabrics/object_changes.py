"""Objects as another version of a system may write them: fields missing, renamed, or of another type."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Place = tuple[str | int, ...]
ODD: tuple[Any, ...] = (
    None,
    True,
    7,
    -1,
    2.5,
    "",
    "v2",
    "\x1b[2J\u202e",
    [],
    ["v2"],
    [None],
    {},
    {"v2": 1},
    [{}],
)
"""What another version may have where we expect something else."""


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One field of one object that is not as we know it."""

    resource: str
    number: int
    place: Place
    value: Any = None

    def removed_from(self, objects: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """*objects* without the field."""
        changed, holder, key = self._find(objects)
        if isinstance(holder, list):
            holder[key] = None
        else:
            del holder[key]
        return changed

    def renamed_in(self, objects: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """*objects*, with another name for the field."""
        changed, holder, key = self._find(objects)
        if isinstance(holder, dict):
            holder[f"{key}V2"] = holder.pop(key)
        return changed

    def replaced_in(self, objects: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """*objects*, with another value in the field."""
        changed, holder, key = self._find(objects)
        holder[key] = copy.deepcopy(self.value)
        return changed

    def _find(self, objects: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], Any, Any]:
        changed = copy.deepcopy(objects)
        holder: Any = changed[self.resource][self.number]
        *way, key = self.place
        for each in way:
            holder = holder[each]
        return changed, holder, key


def places_in(found: Any, at: Place = ()) -> Iterator[Place]:
    """Every field of an object, inner ones too; what is in its metadata is left out: every version has it."""
    entries = (
        found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    )
    for key, value in entries:
        if at or key != "metadata":
            yield (*at, key)
            yield from places_in(value, (*at, key))


def changes_of(objects: dict[str, list[Any]]) -> st.SearchStrategy[ObjectChange]:
    """Any field of any object, with a value of another version."""
    places = [
        (resource, number, place)
        for resource, items in objects.items()
        for number, one in enumerate(items)
        for place in places_in(one)
    ]
    return st.builds(
        lambda where, value: ObjectChange(where[0], where[1], where[2], value),
        st.sampled_from(places),
        st.sampled_from(ODD),
    )
