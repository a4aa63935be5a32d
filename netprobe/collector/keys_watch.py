"""The keys file while the collector runs: read anew when it changes, so that a new agent needs no restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from netprobe.bus.keys_file import Keys, read_keys
from netprobe.collector.plan_rotation import stamp_of
from netprobe.errors import InputError

logger = logging.getLogger(__name__)


async def follow_keys(path: Path, *, every_s: float) -> AsyncIterator[Keys]:
    """Yield the keys each time the file changes; one with a mistake is refused, and the old ones stand."""
    stamp = stamp_of(path)
    while True:
        await asyncio.sleep(every_s)
        newest = stamp_of(path)
        if newest is None or newest == stamp:
            continue
        stamp = newest
        try:
            keys = await asyncio.to_thread(read_keys, path)
        except InputError as error:
            logger.warning("the new keys are refused, the old ones stand: %s", error)
            continue
        yield keys
