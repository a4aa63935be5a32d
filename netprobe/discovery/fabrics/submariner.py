"""Submariner: IPsec, WireGuard or VXLAN tunnels between gateway nodes."""

from __future__ import annotations

NAME = "Submariner"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "submariner.io" in groups
