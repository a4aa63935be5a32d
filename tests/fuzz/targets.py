"""The fuzz targets: each is one file with ``feed(data)`` and ``SEEDS``, and one line here.

Rule: a target feeds bytes to decoders and lets only the errors of :mod:`netprobe.errors` pass; whatever else
escapes is a crash. Seeds come from our own encoders.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Protocol, cast

TARGETS = ("icmp", "stamp", "batches", "bus", "documents", "fabrics", "hosts", "tokens")


class FuzzTarget(Protocol):
    """What a target file holds."""

    SEEDS: Sequence[bytes]
    feed: Callable[[bytes], None]


def load(name: str) -> FuzzTarget:
    """The target of this name."""
    return cast(FuzzTarget, importlib.import_module(f"tests.fuzz.{name}"))
