"""Keeps what the fabrics of one cluster say up to date.

Rules. Which kinds the server has is looked up from time to time: a CRD that appears is watched from then on,
one that goes takes its objects along, one whose preferred version changes is watched at the new one; nothing
is restarted. While the API cannot be reached, what was known stays. Gateways write their objects every few
seconds, so facts are read from them at most as often as takes a tenth of a processor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects
from netprobe.discovery.k8s.client import ClusterApi
from netprobe.discovery.k8s.collection_watch import CollectionWatch, ObjectKind, WatchSettings
from netprobe.discovery.k8s.fabric_objects import find_kinds, read_facts
from netprobe.errors import NetprobeError
from netprobe.model.fabric import FabricFacts
from netprobe.model.names import ClusterName

logger = logging.getLogger(__name__)
_SHARE = 0.1
"""Part of one processor that reading may take."""

DeliverFabrics = Callable[[tuple[FabricFacts, ...]], None]


@dataclass(frozen=True, slots=True)
class _Followed:
    listed: ObjectKind
    watch: CollectionWatch
    task: asyncio.Task[None]


class FabricWatch:
    """Follows the fabrics of one cluster; :meth:`run` until it is cancelled."""

    def __init__(
        self, api: ClusterApi, name: ClusterName, deliver: DeliverFabrics, *,
        pace: WatchSettings | None = None,
    ) -> None:  # fmt: skip
        self._api = api
        self._name = name
        self._deliver = deliver
        self._pace = pace or WatchSettings()
        self._followed: dict[FabricKind, _Followed] = {}
        self._is_looked_up = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Watch what the server has and deliver facts after each change."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            while True:
                try:
                    self._follow(await find_kinds(self._api), tasks)
                except NetprobeError as error:
                    logger.debug("cluster %s: its fabrics cannot be looked up: %s", self._name, error)
                await asyncio.sleep(self._pace.served_s)

    def _follow(self, served: dict[FabricKind, ObjectKind], tasks: asyncio.TaskGroup) -> None:
        """Start and end watches so that exactly what is *served* is followed."""
        for kind in list(self._followed):
            now = served.get(kind)
            if now is None or now.path != self._followed[kind].listed.path:
                logger.info("cluster %s: %s are no longer at the path they had", self._name, kind)
                self._followed.pop(kind).task.cancel()
                self._changed.set()
        for kind, listed in served.items():
            if kind not in self._followed:
                logger.info("cluster %s: watching %s at %s", self._name, kind, listed.path)
                watch = CollectionWatch(self._api, self._name, listed, self._pace, self._changed.set)
                self._followed[kind] = _Followed(listed, watch, tasks.create_task(watch.run()))
        if not self._is_looked_up:
            self._is_looked_up = True
            self._changed.set()

    async def _tell(self) -> None:
        last: tuple[FabricFacts, ...] | None = None
        clock, pause_s = asyncio.get_running_loop().time, self._pace.settle_s
        while True:
            await self._changed.wait()
            await asyncio.sleep(pause_s)
            self._changed.clear()
            followed = self._followed
            # Half a first list would look as if links were missing.
            if not self._is_looked_up or not all(_is_settled(one.watch) for one in followed.values()):
                continue
            started_s = clock()
            facts = await asyncio.to_thread(read_facts, self._objects())
            pause_s = max(self._pace.settle_s, (clock() - started_s) / _SHARE)
            if facts != last:
                self._deliver(facts)
                last = facts

    def _objects(self) -> FabricObjects:
        """A copy: the objects change while facts are read from them."""
        followed = self._followed.items()
        return FabricObjects(
            {kind: tuple(one.watch.items.values()) for kind, one in followed if one.watch.is_listed},
            tuple(kind for kind, one in followed if not one.watch.is_listed),
        )


def _is_settled(watch: CollectionWatch) -> bool:
    """Whether it was listed, or it is known that it cannot be now; nothing else waits for such a kind."""
    return watch.is_known or bool(watch.away)
