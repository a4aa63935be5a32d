"""What an inventory and its keys may say, but probably do not mean."""

from __future__ import annotations

import logging
from collections.abc import Set

from netprobe.bus.keys_file import Keys
from netprobe.discovery.inventory.file import find_overlaps
from netprobe.model.inventory import Inventory

logger = logging.getLogger(__name__)


def note_oddities(inventory: Inventory, keys: Keys, *, by_token: Set[str]) -> None:
    """Say what is allowed but probably not meant."""
    meant = set(inventory.iter_agents())
    for overlap in find_overlaps(inventory):
        logger.warning("%s", overlap)
    for agent in sorted(meant - keys.agents.keys()):
        if agent.cluster in by_token:
            continue
        logger.warning("agent %s has no key and cannot speak", agent)
    for agent in sorted(keys.agents.keys() - meant):
        logger.warning("agent %s has a key, but the inventory does not know it", agent)
