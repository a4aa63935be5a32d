"""Keeps one cluster up to date: lists once, then watches, and delivers the objects after every change.

Rules. A watch that ends goes on from where it was; the server's 410 (too old) and an hour without a list
mean a new list, which also corrects what was missed. While the API cannot be reached, what was known stays
known and is marked: an API server that restarts takes no node away. Changes are gathered for a moment, so
that a rolling restart is a few deliveries and not hundreds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from netprobe.discovery.inventory.context_names import ClusterPlace
from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.client import ApiError, ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.facts import (
    KINDS,
    ClusterFacts,
    ClusterObjects,
    ObjectKind,
    parse_cluster,
    read_served,
)
from netprobe.errors import NetprobeError, RemoteFormatError
from netprobe.model.names import ClusterName

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How often what happens, in seconds."""

    settle_s: float = 0.5
    """How long changes are gathered before they are delivered."""
    watch_s: int = 300
    """How long one watch lasts until the server ends it."""
    watches_per_list: int = 12
    """Number of watches after which everything is listed again."""
    silent_s: float = 150.0
    """Longest silence of a watch; the server sends a bookmark about every minute."""
    retry_s: float = 0.5
    """First pause after a failure; it doubles up to *longest_retry_s*."""
    longest_retry_s: float = 30.0
    denied_s: float = 300.0
    """Pause after a kind could not be listed for want of rights."""


@dataclass(frozen=True, slots=True)
class WatchedCluster:
    """A cluster as it is known now."""

    facts: ClusterFacts
    away: str = ""
    """Why its API cannot be reached at the moment; *facts* are then what was known last."""


Deliver = Callable[[WatchedCluster], None]


class ClusterWatch:
    """Follows one cluster; :meth:`run` until it is cancelled."""

    def __init__(
        self,
        api: ClusterApi,
        name: ClusterName,
        deliver: Deliver,
        *,
        place: ClusterPlace | None = None,
        pace: WatchSettings | None = None,
        kinds: tuple[ObjectKind, ...] = KINDS,
    ) -> None:
        self._api = api
        self._name = name
        self._place = place
        self._deliver = deliver
        self._pace = pace or WatchSettings()
        self._kinds = kinds
        self._known: dict[str, dict[str, Any]] = {}
        self._denied: set[str] = set()
        self._away: dict[str, str] = {}
        self._served = ClusterObjects()
        self._changed = asyncio.Event()
        self.lists = 0
        """Lists read so far: one per kind, and one more after each 410 and each resync."""

    @property
    def away(self) -> str:
        """Why the API cannot be reached at the moment, also before anything was delivered; else empty."""
        return next(iter(self._away.values()), "")

    async def run(self) -> None:
        """Watch every kind and deliver what is known after each change."""
        logger.info("cluster %s: watching %s", self._name, self._api.context)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            tasks.create_task(self._follow_served())
            for kind in self._kinds:
                tasks.create_task(self._follow(kind))

    async def _tell(self) -> None:
        last: WatchedCluster | None = None
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._pace.settle_s)
            self._changed.clear()
            # Half a first list would look as if nodes were missing.
            if self._is_complete() and (now := self._watched()) != last:
                self._deliver(now)
                last = now

    def _is_complete(self) -> bool:
        kinds = {kind.name for kind in self._kinds}
        return bool(self._served.version) and kinds == set(self._known) | self._denied

    def _watched(self) -> WatchedCluster:
        by_kind = {kind: tuple(found.values()) for kind, found in self._known.items()}
        read = ClusterObjects(
            self._served.version,
            self._served.groups,
            self._served.identity,
            by_kind,
            unread=tuple(kind.name for kind in self._kinds if kind.name in self._denied),
        )
        return WatchedCluster(parse_cluster(self._name, read, self._place), self.away)

    async def _follow_served(self) -> None:
        """Version and API groups change with upgrades and installations: read from time to time."""
        pause_s = self._pace.retry_s
        while True:
            try:
                self._served = await read_served(self._api)
                self._reached("served")
                pause_s = self._pace.retry_s
                await asyncio.sleep(self._pace.watch_s)
            except NetprobeError as error:
                self._lost("served", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._pace.longest_retry_s)

    async def _follow(self, kind: ObjectKind) -> None:
        version, pause_s = "", self._pace.retry_s
        while True:
            try:
                version = version or await self._list(kind)
                for _ in range(self._pace.watches_per_list):
                    version = await self._watch(kind, version)
                    pause_s = self._pace.retry_s
                version = ""
            except ApiRefusedError as error:
                version = ""
                if error.code in (403, 404):
                    logger.info("cluster %s: %s are left out: %s", self._name, kind.name, error)
                    self._deny(kind)
                    await asyncio.sleep(self._pace.denied_s)
                else:
                    if error.code != 410:
                        self._lost(kind.name, error)
                    logger.debug("cluster %s: %s are listed again in %.1f s", self._name, kind.name, pause_s)
                    # Also after a 410: a server that refuses its own version must not be listed all day.
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, self._pace.longest_retry_s)
            except (ApiError, RemoteFormatError) as error:
                # The version stays: after a restart of the API server the watch goes on from there.
                self._lost(kind.name, error)
                logger.debug("cluster %s: %s are watched again in %.1f s", self._name, kind.name, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._pace.longest_retry_s)

    async def _list(self, kind: ObjectKind) -> str:
        items, version = await self._api.list(kind.path, kind.shape, kind.selector)
        self.lists += 1
        self._known[kind.name] = {_key(item): item for item in items}
        logger.debug("cluster %s: listed %d %s at version %s", self._name, len(items), kind.name, version)
        self._denied.discard(kind.name)
        self._reached(kind.name)
        return version

    async def _watch(self, kind: ObjectKind, version: str) -> str:
        """Follow one watch to its end; return the version to go on from."""
        query: dict[str, str | int] = {
            "watch": "true", "allowWatchBookmarks": "true",
            "resourceVersion": version, "timeoutSeconds": self._pace.watch_s,
        }  # fmt: skip
        if kind.selector:
            query["labelSelector"] = kind.selector
        logger.debug("cluster %s: watch of %s starts at version %s", self._name, kind.name, version)
        async with aclosing(self._api.stream(kind.path, query, silent_s=self._pace.silent_s)) as lines:
            async for line in lines:
                if line:
                    version = self._read(kind, line) or version
                else:
                    self._reached(kind.name)
        logger.debug("cluster %s: watch of %s ended at version %s", self._name, kind.name, version)
        return version

    def _read(self, kind: ObjectKind, line: bytes) -> str:
        event = self._api.decode(line, schema.WatchEvent, kind.path)
        if event.type == "ERROR":
            status = self._api.decode(bytes(event.object), schema.ApiStatus, kind.path)
            raise ApiRefusedError(f"{self._api.context}: {kind.path}: {status.message}", code=status.code)
        return self._take(kind, event)

    def _take(self, kind: ObjectKind, event: schema.WatchEvent) -> str:
        """Keep what an event tells; return its version."""
        if event.type == "BOOKMARK":
            self._reached(kind.name)
            return self._api.decode(bytes(event.object), schema.Named, kind.path).metadata.resource_version
        item = self._api.decode(bytes(event.object), kind.shape, kind.path)
        if event.type == "DELETED":
            self._known[kind.name].pop(_key(item), None)
        else:
            self._known[kind.name][_key(item)] = item
        self._reached(kind.name)
        self._changed.set()
        found: str = item.metadata.resource_version
        return found

    def _deny(self, kind: ObjectKind) -> None:
        self._denied.add(kind.name)
        self._known.pop(kind.name, None)
        self._reached(kind.name)
        self._changed.set()

    def _lost(self, what: str, error: NetprobeError) -> None:
        level = logging.DEBUG if what in self._away else logging.INFO  # the first failure of a series counts
        logger.log(level, "cluster %s: %s cannot be read: %s", self._name, what, error)
        self._away[what] = str(error)
        self._changed.set()

    def _reached(self, what: str) -> None:
        if self._away.pop(what, None) is not None:
            logger.info("cluster %s: %s can be read again", self._name, what)
        self._changed.set()


def _key(item: Any) -> str:  # noqa: ANN401 - any of the shapes of KINDS
    return f"{item.metadata.namespace}/{item.metadata.name}"
