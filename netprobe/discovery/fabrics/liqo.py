"""Liqo: WireGuard tunnels between gateway pods, and virtual nodes."""

from __future__ import annotations

NAME = "Liqo"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "core.liqo.io" in groups or "networking.liqo.io" in groups
