"""Ends connections of an agent that has too many: what each does not read, the server holds for it in memory.

Rules. The server tells who has come and gone, by the name that it has verified. The newest connections stay:
an agent that comes back after its network was cut must not be kept out by connections that are dead. The
server's own limits know accounts and connections, not agents.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from contextlib import suppress

import msgspec

from netprobe.bus.accounts import AGENT_EVENTS, KICK
from netprobe.bus.connection import Connection, Message
from netprobe.errors import SystemRefusedError

MOST_CONNECTIONS = 2
"""Of one agent: one, and the next one while the server has not noticed that the first is dead."""

logger = logging.getLogger(__name__)


class _Client(msgspec.Struct, frozen=True):
    id: int
    user: str = ""


class _Server(msgspec.Struct, frozen=True):
    id: str


class _Event(msgspec.Struct, frozen=True):
    server: _Server
    client: _Client


class ConnectionLimit:
    """Counts by agent, from the events that arrive on one connection of the collector."""

    def __init__(self, connection: Connection, *, most: int = MOST_CONNECTIONS) -> None:
        self._connection = connection
        self._most = most
        self._open: dict[str, OrderedDict[int, None]] = {}

    async def start(self) -> None:
        """Count from now on."""
        for subject, take in zip(AGENT_EVENTS, (self._take_connected, self._take_disconnected), strict=True):
            await self._connection.subscribe(subject, take)

    async def _take_connected(self, message: Message) -> None:
        event = _read(message)
        if event is None or not event.client.user:
            return
        own = self._open.setdefault(event.client.user, OrderedDict())
        own[event.client.id] = None
        while len(own) > self._most:
            oldest, _ = own.popitem(last=False)
            with suppress(SystemRefusedError):
                kick, asked = KICK.replace("*", event.server.id), json.dumps({"cid": oldest}).encode()
                # nats-server 2.15 does nothing for a request without a reply subject
                await self._connection.publish(kick, asked, reply=self._connection.new_inbox())
            logger.debug("ended connection %d of %s: it has newer ones", oldest, event.client.user)

    async def _take_disconnected(self, message: Message) -> None:
        event = _read(message)
        if event is None:
            return
        own = self._open.get(event.client.user)
        if own is not None:
            own.pop(event.client.id, None)
            if not own:
                del self._open[event.client.user]


def _read(message: Message) -> _Event | None:
    try:
        return msgspec.json.decode(message.data, type=_Event)
    except msgspec.DecodeError:
        logger.debug("an event of the bus server is not understood")
        return None
