"""Deletes reports that are older than the retention time."""

from __future__ import annotations

import asyncio
import logging
import time

from netprobe.errors import HistoryAwayError
from netprobe.store.history import History

PRUNE_EVERY_S = 600.0

logger = logging.getLogger(__name__)


async def prune_history(history: History, *, keep_ns: int) -> None:
    """Delete reports older than *keep_ns*, now and every ten minutes."""
    while True:
        try:
            deleted = await asyncio.to_thread(_prune, history, keep_ns)
        except HistoryAwayError as error:
            logger.warning("old reports are kept for now: %s", error)
        else:
            if deleted:
                logger.info("deleted %d old reports", deleted)
        await asyncio.sleep(PRUNE_EVERY_S)


def _prune(history: History, keep_ns: int) -> int:
    """Age is counted from the newest report where our clock is ahead of it: a wrong clock deletes nothing."""
    newest_ns = history.newest_start_ns()
    now_ns = time.time_ns()
    return history.prune(before_ns=(now_ns if newest_ns is None else min(now_ns, newest_ns)) - keep_ns)
