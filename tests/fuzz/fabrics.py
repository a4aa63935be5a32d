"""Objects of fabrics: every adapter reads what strangers wrote, in any shape, and names what does not fit."""

from __future__ import annotations

import json
from typing import Any

from netprobe.discovery.fabrics import READABLE
from netprobe.discovery.fabrics.fields import MAX_NOTES
from netprobe.discovery.fabrics.objects import FabricObjects, decode_object

ALL = tuple((fabric, kind) for fabric in READABLE for kind in fabric.KINDS)


def _sample(number: int) -> bytes:
    """An object with every field that the kind keeps; the first byte of a seed says which kind."""
    _, kind = ALL[number]
    marks = dict.fromkeys((*kind.annotations, *kind.labels), "true")
    whole: dict[str, Any] = {
        "metadata": {"name": "a", "namespace": "n", "annotations": marks, "labels": marks}
    }
    for path in kind.keeps:
        *way, last = path.replace("\\.", "\0").split(".")
        place: Any = whole
        for key, following in zip(way, (*way[1:], last), strict=True):
            fresh: Any = [{}] if following == "*" else {}
            place = place[0] if key == "*" else place.setdefault(key.replace("\0", "."), fresh)
        if isinstance(place, list):
            place = place[0]
        place[last.replace("\0", ".")] = "connected"
    return bytes([number]) + json.dumps(whole).encode()


SEEDS = tuple(_sample(number) for number in range(len(ALL)))


def feed(data: bytes) -> None:
    """The adapter of the kind that the first byte names reads one object."""
    if not data:
        return
    fabric, kind = ALL[data[0] % len(ALL)]
    one = decode_object(data[1:], kind)
    if one is None:
        return
    facts = fabric.read(FabricObjects({kind: (one,)}))
    assert len(facts.unread) <= MAX_NOTES + 1
    assert all(str(line).isprintable() for line in facts.unread), facts.unread
