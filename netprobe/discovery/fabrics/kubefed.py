"""KubeFed: federation, archived, still met."""

from __future__ import annotations

NAME = "KubeFed"


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "core.kubefed.io" in served
