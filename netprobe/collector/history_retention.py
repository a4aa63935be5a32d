"""Deletes reports that are older than the retention time."""

from __future__ import annotations

import asyncio
import logging
import time

from netprobe.store.history import History

PRUNE_EVERY_S = 600.0

logger = logging.getLogger(__name__)


async def prune_history(history: History, *, keep_ns: int) -> None:
    """Delete reports older than *keep_ns*, now and every ten minutes."""
    while True:
        deleted = await asyncio.to_thread(history.prune, before_ns=time.time_ns() - keep_ns)
        if deleted:
            logger.info("deleted %d old reports", deleted)
        await asyncio.sleep(PRUNE_EVERY_S)
