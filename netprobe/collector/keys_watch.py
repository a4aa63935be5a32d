"""Follows the keys file while the collector runs, so that a new agent needs no restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from netprobe.bus.accounts import accounts
from netprobe.bus.keys import public_key
from netprobe.bus.keys_file import Keys, read_keys
from netprobe.bus.server import Server
from netprobe.collector.file_stamp import stamp_of
from netprobe.errors import InputError

logger = logging.getLogger(__name__)


async def admit_new_keys(path: Path, server: Server, seed: str, *, every_s: float) -> None:
    """Let *server* admit the keys in the file, and no others, each time the file changes."""
    async for keys in follow_keys(path, every_s=every_s):
        server.admit(accounts(keys.agents, keys.operators, public_key(seed)))
        logger.info("keys of %d agents and %d operators are admitted", len(keys.agents), len(keys.operators))


async def follow_keys(path: Path, *, every_s: float) -> AsyncIterator[Keys]:
    """Yield the keys each time the file changes; a file with a mistake is refused, and the old keys stay."""
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
            logger.warning("the new keys are refused, the old ones stay valid: %s", error)
            continue
        yield keys
