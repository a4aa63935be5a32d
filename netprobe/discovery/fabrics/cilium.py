"""Cilium: a CNI; whether its Cluster Mesh is used cannot be told from the groups."""

from __future__ import annotations

NAME = "Cilium"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "cilium.io" in groups
