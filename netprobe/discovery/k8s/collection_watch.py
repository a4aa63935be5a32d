"""Keeps the objects of one kind up to date: lists once, then watches.

Rules. A watch that ends goes on from where it was; the server's 410 (too old) and an hour without a list
mean a new list, which also corrects what was missed. While the kind cannot be read, what was known stays. A
kind that we may not list, or that the server does not have, has no objects, and is asked for again later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.client import PAGE, ApiError, ApiRefusedError, ClusterApi
from netprobe.errors import NetprobeError, RemoteFormatError
from netprobe.model.names import ClusterName

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of objects that discovery reads and watches."""

    name: str
    path: str
    shape: type[Any]
    selector: str = ""
    """Of labels."""
    only: str = ""
    """The only object's name that is asked for; empty for all."""
    page: int = PAGE
    """Objects per page."""
    convert: Callable[[Any], Any] | None = None
    """What is kept of an object of that shape; it returns None for one that is left out."""

    def keep(self, item: Any) -> Any:  # noqa: ANN401 - any of the shapes
        """What is kept of *item*, or None."""
        return self.convert(item) if self.convert is not None else item


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
    served_s: float = 30.0
    """How often it is looked which kinds of fabrics the server has: a CRD may come, change or go."""


async def list_kept(api: ClusterApi, kind: ObjectKind) -> tuple[list[Any], str]:
    """What is kept of a list, and the version to watch from; no more than one page is held whole."""
    kept: list[Any] = []
    version = ""
    pages = api.pages(kind.path, kind.shape, kind.selector, name=kind.only, size=kind.page)
    async for page, version in pages:  # noqa: B007 - the last version counts
        kept += (item for each in page if (item := kind.keep(each)) is not None)
    return kept, version


class CollectionWatch:
    """Follows one kind; :meth:`run` until it is cancelled."""

    def __init__(
        self, api: ClusterApi, cluster: ClusterName, kind: ObjectKind, pace: WatchSettings,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._api = api
        self._cluster = cluster
        self._kind = kind
        self._pace = pace
        self._changed = changed
        self._title = f"cluster {cluster}: {kind.name}"
        self.items: dict[str, Any] = {}
        """What is known, by namespace and name."""
        self.is_listed = False
        self.is_denied = False
        """Whether we may not list it, or the server does not have it."""
        self.away = ""
        """Why it cannot be read at the moment; *items* are then what was known last."""
        self.lists = 0
        """Lists read so far: one, and one more after each 410 and each resync."""

    @property
    def is_known(self) -> bool:
        """Whether it was listed, or it is known that it cannot be."""
        return self.is_listed or self.is_denied

    async def run(self) -> None:
        """List and watch."""
        version, pause_s = "", self._pace.retry_s
        while True:
            try:
                version = version or await self._list()
                for _ in range(self._pace.watches_per_list):
                    version = await self._watch(version)
                    pause_s = self._pace.retry_s
                version = ""
            except ApiRefusedError as error:
                version = ""
                if error.code in (403, 404):
                    logger.info("%s are left out: %s", self._title, error)
                    self._deny()
                    await asyncio.sleep(self._pace.denied_s)
                else:
                    if error.code != 410:
                        self._lost(error)
                    logger.debug("%s are listed again in %.1f s", self._title, pause_s)
                    # Also after a 410: a server that refuses its own version must not be listed all day.
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, self._pace.longest_retry_s)
            except (ApiError, RemoteFormatError) as error:
                # The version stays: after a restart of the API server the watch goes on from there.
                self._lost(error)
                logger.debug("%s are watched again in %.1f s", self._title, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._pace.longest_retry_s)

    async def _list(self) -> str:
        kind = self._kind
        kept, version = await list_kept(self._api, kind)
        self.lists += 1
        self.items = {_key(item): item for item in kept}
        logger.debug("cluster %s: listed %d %s at version %s", self._cluster, len(kept), kind.name, version)
        self.is_listed, self.is_denied = True, False
        self._reached()
        return version

    async def _watch(self, version: str) -> str:
        """Follow one watch to its end; return the version to go on from."""
        kind = self._kind
        query: dict[str, str | int] = {
            "watch": "true", "allowWatchBookmarks": "true",
            "resourceVersion": version, "timeoutSeconds": self._pace.watch_s,
        }  # fmt: skip
        if kind.selector:
            query["labelSelector"] = kind.selector
        if kind.only:
            query["fieldSelector"] = f"metadata.name={kind.only}"
        logger.debug("cluster %s: watch of %s starts at version %s", self._cluster, kind.name, version)
        async with aclosing(self._api.stream(kind.path, query, silent_s=self._pace.silent_s)) as lines:
            async for line in lines:
                if line:
                    version = self._read(line) or version
                else:
                    self._reached()
        logger.debug("cluster %s: watch of %s ended at version %s", self._cluster, kind.name, version)
        return version

    def _read(self, line: bytes) -> str:
        """Take in one event; return its version."""
        path = self._kind.path
        event = self._api.decode(line, schema.WatchEvent, path)
        if event.type == "ERROR":
            status = self._api.decode(bytes(event.object), schema.ApiStatus, path)
            raise ApiRefusedError(f"{self._api.context}: {path}: {status.message}", code=status.code)
        if event.type == "BOOKMARK":
            self._reached()
            return self._api.decode(bytes(event.object), schema.Named, path).metadata.resource_version
        item = self._kind.keep(self._api.decode(bytes(event.object), self._kind.shape, path))
        if item is None:  # left out: also one that was kept until now
            left = self._api.decode(bytes(event.object), schema.Named, path)
            self.items.pop(_key(left), None)
            self._reached()
            return left.metadata.resource_version
        if event.type == "DELETED":
            self.items.pop(_key(item), None)
        else:
            self.items[_key(item)] = item
        self._reached()
        found: str = item.metadata.resource_version
        return found

    def _deny(self) -> None:
        self.is_listed, self.is_denied = False, True
        self.items = {}
        self._reached()

    def _lost(self, error: NetprobeError) -> None:
        level = logging.DEBUG if self.away else logging.INFO  # the first failure of a series counts
        logger.log(level, "cluster %s: %s cannot be read: %s", self._cluster, self._kind.name, error)
        self.away = str(error)
        self._changed()

    def _reached(self) -> None:
        if self.away:
            logger.info("cluster %s: %s can be read again", self._cluster, self._kind.name)
        self.away = ""
        self._changed()


def _key(item: Any) -> str:  # noqa: ANN401 - any of the shapes
    return f"{item.metadata.namespace}/{item.metadata.name}"
