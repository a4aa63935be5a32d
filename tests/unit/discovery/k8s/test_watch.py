"""What a watch does when the server says that it is too old, and where it goes on from when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.discovery.k8s.facts import KINDS
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.watch import ClusterWatch, WatchedCluster
from netprobe.model.names import ClusterName
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig

PATIENCE_S = 60
PACE = WatchSettings(settle_s=0.01, retry_s=0.01)


def node(name: str, version: str, **labels: str) -> dict[str, Any]:
    told = {key.replace("_", "."): value for key, value in labels.items()}
    return {"metadata": {"name": name, "resourceVersion": version, "labels": told}}


@asynccontextmanager
async def watching(
    served: Served, tmp_path: Path
) -> AsyncIterator[tuple[ClusterWatch, list[WatchedCluster]]]:
    heard: list[WatchedCluster] = []
    context = read_contexts([write_kubeconfig(tmp_path / "config", served.url)]).choose()[0]
    async with open_api(context) as api:
        watch = ClusterWatch(api, ClusterName("x"), heard.append, pace=PACE)
        running = asyncio.ensure_future(watch.run())
        try:
            yield watch, heard
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def names(heard: list[WatchedCluster]) -> list[str]:
    return [str(found.name) for found in heard[-1].facts.cluster.nodes] if heard else []


GONE = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version: 5 (900)"}}


@pytest.mark.parametrize("refusal", [[GONE], 410], ids=["in the stream", "as a status"])
async def test_a_version_that_is_gone_means_a_new_list_and_no_absence(
    refusal: list[dict[str, Any]] | int, tmp_path: Path
) -> None:
    async with (
        serve(Served(items={"nodes": [node("a", "5")]}, watches={"nodes": [refusal]})) as served,
        watching(served, tmp_path) as (watch, heard),
    ):
        await until(lambda: names(heard) == ["a"])
        served.items["nodes"] = [node("b", "901")]  # what was missed: a went, b came
        served.go.set()
        await until(lambda: served.lists["nodes"] >= 2)
        await until(lambda: names(heard) == ["b"])
        assert watch.lists == len(KINDS) + 1
        assert not any(told.away for told in heard)


async def test_a_server_that_always_says_gone_is_not_listed_without_a_pause(tmp_path: Path) -> None:
    async with serve(Served(watches={"nodes": [410] * 1_000})) as served, watching(served, tmp_path):
        served.go.set()
        await until(lambda: served.lists["nodes"] >= 5)
        pauses = [PACE.retry_s * 2**number for number in range(4)]
        before = served.lists["nodes"]
        await asyncio.sleep(sum(pauses))
        assert served.lists["nodes"] - before <= 3, "each pause is twice as long as the last one"


async def test_a_watch_goes_on_from_the_last_bookmark(tmp_path: Path) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}}
    added = {"type": "ADDED", "object": node("b", "80")}
    async with (
        serve(Served(watches={"nodes": [[bookmark], [added], []]})) as served,
        watching(served, tmp_path) as (_, heard),
    ):
        served.go.set()
        await until(lambda: len(served.watched.get("nodes", ())) >= 4)
        await until(lambda: names(heard) == ["b"])
        assert served.watched["nodes"][:4] == ["5", "77", "80", "80"]
        assert served.lists["nodes"] == 1


async def test_a_line_that_is_no_event_is_told_and_the_watch_goes_on(tmp_path: Path) -> None:
    nonsense = {"kind": "surprise"}
    async with (
        serve(Served(items={"nodes": [node("a", "5")]}, watches={"nodes": [[nonsense]]})) as served,
        watching(served, tmp_path) as (_, heard),
    ):
        await until(lambda: names(heard) == ["a"])
        served.go.set()
        await until(lambda: len(served.watched.get("nodes", ())) >= 2)
        await until(lambda: names(heard) == ["a"] and not heard[-1].away)
