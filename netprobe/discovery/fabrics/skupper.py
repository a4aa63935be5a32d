"""Skupper: services linked through routers on layer 7."""

from __future__ import annotations

NAME = "Skupper"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "skupper.io" in groups
