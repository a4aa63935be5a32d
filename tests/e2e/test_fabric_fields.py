"""Every field that an adapter reads is one that the system's own CRD has, in each of its versions."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.discovery.fabrics import READABLE, ReadableFabric
from netprobe.discovery.fabrics.objects import read_path
from tests.e2e.fabric_crds import MODULES, read_schemas

WITH_CRDS = [pytest.param(fabric, id=fabric.NAME) for fabric in READABLE if fabric.NAME in MODULES]


def has_field(schema: dict[str, Any], keys: list[str]) -> bool:
    """Whether the schema has a field, or leaves open what is there."""
    if not keys:
        return True
    key, *rest = keys
    if key == "*":
        return has_field(schema.get("items", {}), rest)
    if key in schema.get("properties", {}):
        return has_field(schema["properties"][key], rest)
    return bool(schema.get("x-kubernetes-preserve-unknown-fields")) or "additionalProperties" in schema


@pytest.mark.parametrize("fabric", WITH_CRDS)
def test_what_is_read_is_in_the_systems_own_schema(fabric: ReadableFabric) -> None:
    schemas = read_schemas(fabric.NAME)
    own = [kind for kind in fabric.KINDS if kind.group]
    missing = [
        f"{kind}: {path}"
        for kind in own
        for schema in schemas[kind.group, kind.resource]
        for path in kind.keeps
        if not has_field(schema, read_path(path))
    ]
    assert own
    assert missing == []
