"""Warnings about an inventory and keys that are valid but suspicious."""

from __future__ import annotations

import logging
from collections.abc import Set

from netprobe.bus.keys_file import Keys
from netprobe.discovery.inventory.file import find_overlaps
from netprobe.model.inventory import Inventory

logger = logging.getLogger(__name__)


def warn_about_inventory(inventory: Inventory, keys: Keys, *, by_token: Set[str]) -> None:
    """Log overlapping networks, agents without a key and keys without an agent.

    Agents of the clusters *by_token* log in with a token and need no key.
    """
    planned = set(inventory.iter_agents())
    for overlap in find_overlaps(inventory):
        logger.warning("%s", overlap)
    for agent in sorted(planned - keys.agents.keys()):
        if agent.cluster not in by_token:
            logger.warning("agent %s has no key and cannot connect", agent)
    for agent in sorted(keys.agents.keys() - planned):
        logger.warning("agent %s has a key, but is not in the inventory", agent)
