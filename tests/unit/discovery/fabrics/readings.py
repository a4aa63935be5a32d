"""Reads made-up objects through the same decoder as those of a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from netprobe.discovery.fabrics import ReadableFabric
from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects, decode_object
from netprobe.model.fabric import FabricFacts


def kind_of(fabric: ReadableFabric, resource: str) -> FabricKind:
    (found,) = (kind for kind in fabric.KINDS if kind.resource == resource)
    return found


def decoded(fabric: ReadableFabric, items: Mapping[str, Sequence[Any]]) -> FabricObjects:
    """Objects by plural, decoded; what is not an object at all is left out, as it is by a watch."""
    by_kind = {}
    for resource, objects in items.items():
        kind = kind_of(fabric, resource)
        kept = (decode_object(json.dumps(one).encode(), kind) for one in objects)
        by_kind[kind] = tuple(one for one in kept if one is not None)
    return FabricObjects(by_kind)


def read(fabric: ReadableFabric, items: Mapping[str, Sequence[Any]]) -> FabricFacts:
    return fabric.read(decoded(fabric, items))
