"""Karmada: a control plane over several clusters; its group is an aggregated API."""

from __future__ import annotations

NAME = "Karmada"


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "cluster.karmada.io" in served
