"""Watches on a real API server: what changes is heard, and a restart takes nothing away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.watch import ClusterWatch, WatchedCluster
from netprobe.model.names import ClusterName
from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import STAGING, node

PATIENCE_S = 60


class Heard:
    """Everything that was delivered."""

    def __init__(self) -> None:
        self.all: list[WatchedCluster] = []
        self._news = asyncio.Event()

    def hear(self, watched: WatchedCluster) -> None:
        self.all.append(watched)
        self._news.set()

    async def until(self, wanted: Callable[[WatchedCluster], bool]) -> WatchedCluster:
        """The next delivery that is as wanted, or the last one if that already is."""
        async with asyncio.timeout(PATIENCE_S):
            while not (self.all and wanted(self.all[-1])):
                self._news.clear()
                await self._news.wait()
        return self.all[-1]


def names(watched: WatchedCluster) -> set[str]:
    return {str(found.name) for found in watched.facts.cluster.nodes}


@asynccontextmanager
async def watching(clusters: Clusters, pace: WatchSettings) -> AsyncIterator[tuple[Heard, ClusterWatch]]:
    heard = Heard()
    context = read_contexts([clusters.kubeconfigs[STAGING]]).choose()[0]
    async with open_api(context) as api:
        watch = ClusterWatch(api, ClusterName("staging"), heard.hear, pace=pace)
        running = asyncio.ensure_future(watch.run())
        try:
            yield heard, watch
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_nodes_come_change_and_go(clusters: Clusters) -> None:
    async with watching(clusters, WatchSettings(settle_s=0.05)) as (heard, watch):
        await heard.until(lambda watched: "n1" not in names(watched))
        await asyncio.to_thread(clusters.apply, STAGING, node("n1", "10.250.2.11"))
        await heard.until(lambda watched: "n1" in names(watched) and "n1" not in watched.facts.not_ready)
        await asyncio.to_thread(clusters.apply, STAGING, node("n1", "10.250.2.11", ready=False))
        await heard.until(lambda watched: "n1" in watched.facts.not_ready)
        await asyncio.to_thread(clusters.kubectl, STAGING, "delete", "node", "n1")
        await heard.until(lambda watched: "n1" not in names(watched))
        assert watch.lists == 7


async def test_a_watch_that_ends_goes_on_and_is_listed_anew_now_and_then(clusters: Clusters) -> None:
    async with watching(clusters, WatchSettings(settle_s=0.05, watch_s=1, watches_per_list=2)) as (
        heard,
        watch,
    ):
        await heard.until(lambda watched: True)
        for _ in range(10 * PATIENCE_S):
            if watch.lists >= 21:
                break
            await asyncio.sleep(0.1)
        assert watch.lists >= 21
        await asyncio.to_thread(clusters.apply, STAGING, node("n2", "10.250.2.12"))
        await heard.until(lambda watched: "n2" in names(watched))
        await asyncio.to_thread(clusters.kubectl, STAGING, "delete", "node", "n2")
        await heard.until(lambda watched: "n2" not in names(watched))
        assert not any(watched.away for watched in heard.all)


async def test_an_api_server_that_restarts_takes_nothing_away(clusters: Clusters) -> None:
    await asyncio.to_thread(clusters.apply, STAGING, node("n3", "10.250.2.13"))
    async with watching(clusters, WatchSettings(settle_s=0.05, longest_retry_s=1.0)) as (heard, _):
        await heard.until(lambda watched: "n3" in names(watched))
        since = len(heard.all)
        await asyncio.to_thread(clusters.stop_api, STAGING)
        away = await heard.until(lambda watched: bool(watched.away))
        assert "cannot be reached" in away.away
        await asyncio.to_thread(clusters.start_api, STAGING)
        await heard.until(lambda watched: not watched.away)
        assert all("n3" in names(watched) for watched in heard.all[since:])
        await asyncio.to_thread(clusters.kubectl, STAGING, "delete", "node", "n3")
        await heard.until(lambda watched: "n3" not in names(watched))
