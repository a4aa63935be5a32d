"""Consul: peerings of a service mesh through mesh gateways."""

from __future__ import annotations

NAME = "Consul"


def is_served(groups: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "consul.hashicorp.com" in groups
