"""Admiral: writes configuration for Istio in several clusters."""

from __future__ import annotations

NAME = "Admiral"


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "admiral.io" in served
