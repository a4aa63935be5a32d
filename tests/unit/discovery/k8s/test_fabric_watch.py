"""Fabrics of a cluster while CRDs come, change and go, watches end, and rights are missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from netprobe.discovery.fabrics import find_fabrics
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.discovery.k8s.fabric_objects import read_fabrics
from netprobe.discovery.k8s.fabric_watch import FabricWatch
from netprobe.discovery.k8s.facts import read_served
from netprobe.discovery.k8s.kubeconfig import Context, read_contexts
from netprobe.model.fabric import FabricFacts
from netprobe.model.names import ClusterName
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig
from tests.unit.discovery.fabrics import submariner_objects as made

PATIENCE_S = 60
PACE = WatchSettings(settle_s=0.01, retry_s=0.01, denied_s=0.05, served_s=0.02)
V1 = "submariner.io/v1"
SHARED_V1, SHARED_V2 = "multicluster.x-k8s.io/v1alpha1", "multicluster.x-k8s.io/v1beta1"
PLURALS = [
    "gateways", "endpoints", "clusters", "routeagents", "globalingressips", "clusterglobalegressips",
]  # fmt: skip


def context_of(folder: Path, served: Served) -> Context:
    return read_contexts([write_kubeconfig(folder / "config", served.url)]).choose()[0]


@asynccontextmanager
async def watching(served: Served, folder: Path) -> AsyncIterator[list[tuple[FabricFacts, ...]]]:
    heard: list[tuple[FabricFacts, ...]] = []
    async with open_api(context_of(folder, served)) as api:
        watch = FabricWatch(api, ClusterName("x"), heard.append, pace=PACE)
        running = asyncio.ensure_future(watch.run())
        try:
            yield heard
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def links(heard: list[tuple[FabricFacts, ...]]) -> list[str]:
    return [link.target for facts in heard[-1] for link in facts.links] if heard else ["nothing heard yet"]


def installed(**more: Any) -> Served:
    return Served(resources={V1: [*PLURALS, "gateways/status"]}, items=made.east(), **more)


async def test_objects_are_read_once_for_a_person(tmp_path: Path) -> None:
    async with serve(installed()) as served, open_api(context_of(tmp_path, served)) as api:
        (found,) = await read_fabrics(api)
        assert (found.cluster, [link.target for link in found.links]) == ("east", ["west"])
        assert api.calls == 2 + len(PLURALS)


async def test_a_cluster_without_fabrics_costs_one_request(tmp_path: Path) -> None:
    served = Served(groups=["apps", "networking.k8s.io"])
    async with serve(served), open_api(context_of(tmp_path, served)) as api:
        assert await read_fabrics(api) == ()
        assert api.calls == 1


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        ({SHARED_V1: ["clusterprofiles", "clusterprofiles/status"]}, ()),
        ({SHARED_V2: ["serviceimports"]}, ("MCS API",)),
        ({SHARED_V1: ["works"], SHARED_V2: ["serviceexports"]}, ("MCS API",)),
    ],
    ids=["the Cluster Inventory API", "MCS", "both the Work API and MCS"],
)  # fmt: skip
async def test_a_group_that_systems_share_is_known_by_its_resources(
    tmp_path: Path, resources: dict[str, list[str]], found: tuple[str, ...]
) -> None:
    async with serve(Served(resources=resources)) as served, open_api(context_of(tmp_path, served)) as api:
        assert find_fabrics((await read_served(api)).served) == found
        assert tuple(facts.fabric for facts in await read_fabrics(api)) == found


async def test_a_crd_that_appears_is_read_and_one_that_goes_takes_its_facts_along(tmp_path: Path) -> None:
    async with serve(Served(items=made.east())) as served, watching(served, tmp_path) as heard:
        await until(lambda: heard == [()])
        served.resources[V1] = PLURALS
        await until(lambda: links(heard) == ["west"])
        del served.resources[V1]
        await until(lambda: heard[-1] == ())


async def test_a_version_that_changes_takes_nothing_away_meanwhile(tmp_path: Path) -> None:
    async with serve(installed()) as served, watching(served, tmp_path) as heard:
        await until(lambda: links(heard) == ["west"])
        since = len(heard)
        served.items["gateways"] = [made.gateway("east", made.connection("west", "error"))]
        served.resources["submariner.io/v2"] = PLURALS
        served.preferred["submariner.io"] = "submariner.io/v2"
        await until(lambda: "error" in [claim.value for facts in heard[-1] for claim in facts.claims])
        assert {tuple(links([told])) for told in heard[since:]} == {("west",)}


async def test_kinds_of_one_group_are_found_in_whichever_version_has_them(tmp_path: Path) -> None:
    served = Served(
        resources={"submariner.io/v1alpha1": ["brokers"], V1: PLURALS},
        preferred={"submariner.io": "submariner.io/v1alpha1"},
        items=made.east(),
    )
    async with serve(served), open_api(context_of(tmp_path, served)) as api:
        (found,) = await read_fabrics(api)
        assert found.unread == ()


@pytest.mark.parametrize(
    "refusal", [[{"type": "ERROR", "object": {"code": 410, "message": "too old"}}], 410, []],
    ids=["in the stream", "as a status", "an end without a word"],
)  # fmt: skip
async def test_a_watch_that_ends_takes_nothing_away(
    refusal: list[dict[str, Any]] | int, tmp_path: Path
) -> None:
    served = installed(watches={"endpoints": [refusal], "gateways": [refusal]})
    async with serve(served), watching(served, tmp_path) as heard:
        await until(lambda: links(heard) == ["west"])
        served.go.set()
        await until(lambda: len(served.watched.get("endpoints", ())) >= 2)
        assert {tuple(links([told])) for told in heard} == {("west",)}


async def test_a_change_is_heard(tmp_path: Path) -> None:
    changed = made.gateway("east", made.connection("west", "error", message="no answer"))
    served = installed(watches={"gateways": [[{"type": "MODIFIED", "object": changed}]]})
    async with serve(served), watching(served, tmp_path) as heard:
        await until(lambda: links(heard) == ["west"])
        served.go.set()
        await until(lambda: any(claim.value == "error" for facts in heard[-1] for claim in facts.claims))


async def test_a_kind_that_may_not_be_listed_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    served = installed(forbidden=frozenset({"routeagents"}))
    async with serve(served), watching(served, tmp_path) as heard:
        await until(lambda: links(heard) == ["west"])
        assert [str(one) for one in heard[-1][0].unread] == ["routeagents.submariner.io: cannot be listed"]


async def test_an_object_that_nothing_can_parse_costs_its_kind_and_no_other(tmp_path: Path) -> None:
    served = installed()
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    served.items["clusters"] = [
        {"metadata": {"name": "x"}, "spec": {"cluster_cidr": deep}},
        made.cluster("west"),
    ]
    async with serve(served), watching(served, tmp_path) as heard:
        await until(lambda: links(heard) == ["west"])
        assert "west" in [cluster.id for facts in heard[-1] for cluster in facts.clusters]
