"""Keeps one cluster up to date: lists once, then watches, and delivers the objects after every change.

Rules. `collection_watch` follows each kind. While the API cannot be reached, what was known stays known and
is marked: an API server that restarts takes no node away. Changes are gathered for a moment, so that a
rolling restart is a few deliveries and not hundreds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from netprobe.discovery.inventory.context_names import ClusterPlace
from netprobe.discovery.k8s.client import ClusterApi
from netprobe.discovery.k8s.collection_watch import CollectionWatch, ObjectKind, WatchSettings
from netprobe.discovery.k8s.facts import KINDS, ClusterFacts, ClusterObjects, parse_cluster, read_served
from netprobe.errors import NetprobeError
from netprobe.model.names import ClusterName

logger = logging.getLogger(__name__)


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
        self._changed = asyncio.Event()
        self._watches = {
            kind.name: CollectionWatch(api, name, kind, self._pace, self._changed.set) for kind in kinds
        }
        self._served = ClusterObjects()
        self._served_away = ""

    @property
    def lists(self) -> int:
        """Lists read so far: one per kind, and one more after each 410 and each resync."""
        return sum(watch.lists for watch in self._watches.values())

    @property
    def away(self) -> str:
        """Why the API cannot be reached at the moment, also before anything was delivered; else empty."""
        reasons = (self._served_away, *(watch.away for watch in self._watches.values()))
        return next(filter(None, reasons), "")

    async def run(self) -> None:
        """Watch every kind and deliver what is known after each change."""
        logger.info("cluster %s: watching %s", self._name, self._api.context)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            tasks.create_task(self._follow_served())
            for watch in self._watches.values():
                tasks.create_task(watch.run())

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
        return bool(self._served.version) and all(watch.is_known for watch in self._watches.values())

    def _watched(self) -> WatchedCluster:
        by_kind = {
            name: tuple(watch.items.values()) for name, watch in self._watches.items() if watch.is_listed
        }
        read = ClusterObjects(
            self._served.version,
            self._served.served,
            self._served.identity,
            by_kind,
            unread=tuple(name for name, watch in self._watches.items() if watch.is_denied),
        )
        return WatchedCluster(parse_cluster(self._name, read, self._place), self.away)

    async def _follow_served(self) -> None:
        """Version and API groups change with upgrades and installations: read from time to time."""
        pause_s = self._pace.retry_s
        while True:
            try:
                self._served = await read_served(self._api)
                self._note_served("")
                pause_s = self._pace.retry_s
                await asyncio.sleep(self._pace.watch_s)
            except NetprobeError as error:
                self._note_served(str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._pace.longest_retry_s)

    def _note_served(self, away: str) -> None:
        if bool(away) != bool(self._served_away):
            what = f"cannot be asked what it serves: {away}" if away else "can be asked again what it serves"
            logger.info("cluster %s: %s", self._name, what)
        self._served_away = away
        self._changed.set()
