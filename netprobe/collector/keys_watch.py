"""Follows the keys file while the collector runs, so that a new agent needs no restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from netprobe.bus.accounts import Accounts, accounts
from netprobe.bus.keys import public_key
from netprobe.bus.keys_file import Keys, read_keys
from netprobe.bus.server import Server
from netprobe.collector.file_stamp import stamp_of
from netprobe.errors import InputError, SystemRefusedError

logger = logging.getLogger(__name__)


async def admit_new_keys(path: Path, server: Server, seed: str, *, every_s: float) -> None:
    """Let *server* admit the keys in the file, and no others, each time the file changes."""
    async for keys in follow_keys(path, every_s=every_s):
        while not _admit(server, accounts(keys.agents, keys.operators, public_key(seed))):  # noqa: ASYNC110 - a disk has no event
            await asyncio.sleep(every_s)
        logger.info("keys of %d agents and %d operators are admitted", len(keys.agents), len(keys.operators))


def _admit(server: Server, known: Accounts) -> bool:
    """Whether they could be written: a full disk does not end the collector."""
    try:
        server.admit(known)
    except SystemRefusedError as error:
        logger.warning("the new keys are not admitted yet: %s", error)
        return False
    return True


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
