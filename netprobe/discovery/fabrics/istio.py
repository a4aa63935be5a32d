"""Istio: a service mesh; several clusters meet directly or at east-west gateways."""

from __future__ import annotations

NAME = "Istio"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "networking.istio.io" in groups
