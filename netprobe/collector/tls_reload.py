"""The bus's certificate: reloaded when it is renewed on disk, and pinned by the collector itself.

Rule: a renewed certificate is used for new connections; existing ones stay open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from netprobe.bus.login import ServerTrust
from netprobe.bus.server import ServerTls
from netprobe.collector.file_stamp import FileStamp, stamp_of

POLL_S = 5.0

logger = logging.getLogger(__name__)


async def reload_when_renewed(tls: ServerTls, reload: Callable[[], None]) -> None:
    """Call *reload* whenever a file of *tls* has changed."""
    seen = _stamps_of(tls)
    while True:
        await asyncio.sleep(POLL_S)
        found = _stamps_of(tls)
        if found != seen and None not in found:
            logger.info("the bus uses the renewed certificate %s", tls.certificate)
            reload()
            seen = found


def trust_own_server(tls: ServerTls | None) -> ServerTrust | None:
    """How the collector verifies its own server: by the certificate itself, whatever names it has."""
    if tls is None:
        return None
    if tls.ca is None:
        return ServerTrust(pinned=tls.certificate)
    return ServerTrust(certificate=tls.certificate, key=tls.key, pinned=tls.certificate)


def _stamps_of(tls: ServerTls) -> tuple[FileStamp | None, ...]:
    return tuple(stamp_of(file) for file in (tls.certificate, tls.key, tls.ca) if file is not None)
