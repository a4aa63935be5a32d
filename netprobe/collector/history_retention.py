"""Deletes reports and incidents that are older than their retention times."""

from __future__ import annotations

import asyncio
import logging
import time

from netprobe.errors import HistoryAwayError
from netprobe.model.units import HOUR_NS
from netprobe.store.history import History

PRUNE_EVERY_S = 600.0
KEEP_INCIDENTS_NS = 90 * 24 * HOUR_NS
"""Incidents are small and worth comparing: they are kept for a quarter, or as long as reports are."""

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
    today_ns = now_ns if newest_ns is None else min(now_ns, newest_ns)
    history.prune_incidents(before_ns=today_ns - max(keep_ns, KEEP_INCIDENTS_NS))
    return history.prune(before_ns=today_ns - keep_ns)
