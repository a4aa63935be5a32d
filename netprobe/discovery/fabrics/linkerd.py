"""Linkerd: services of another cluster mirrored through its gateway."""

from __future__ import annotations

NAME = "Linkerd"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "multicluster.linkerd.io" in groups
