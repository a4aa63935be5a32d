"""Submariner's own CRDs on real API servers: its objects become a topology without any inventory file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.collector.admission import Admission
from netprobe.collector.cluster_watchers import ClusterWatchers, FleetView
from netprobe.collector.registry import ClusterRegistry
from netprobe.discovery.fabrics.submariner import KINDS
from netprobe.discovery.k8s.client import ApiRefusedError, open_api
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.discovery.k8s.fabric_objects import read_fabrics
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.schema import Named
from netprobe.model.fabric import ClaimState
from netprobe.model.inventory import Inventory
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.snapshot import topology_document
from netprobe.wire.messages import Presence
from tests.e2e.cluster.client import Clusters
from tests.e2e.fabric_crds import find_crds
from tests.e2e.test_clusters import PROD, STAGING, node
from tests.unit.discovery.fabrics import submariner_objects as made
from tests.unit.manifests.rendered import MANIFESTS

pytestmark = pytest.mark.timeout(400)
PATIENCE_S = 100.0
PACE = WatchSettings(settle_s=0.05, retry_s=0.05, served_s=0.5, denied_s=0.5)
PLURALS = tuple(kind.resource for kind in KINDS)
KIND_NAMES = {
    "gateways": "Gateway",
    "endpoints": "Endpoint",
    "clusters": "Cluster",
    "routeagents": "RouteAgent",
}
MEMBERS = {PROD: ("east", "west"), STAGING: ("west", "east")}
NODES = {
    PROD: {"east-gw": "192.0.2.11", "east-w1": "192.0.2.12"},
    STAGING: {"west-gw": "198.51.100.21", "west-w1": "198.51.100.22"},
}
Json = dict[str, Any]


def whole(plural: str, one: Json) -> Json:
    """An object as kubectl takes it; the server sets the version of what it keeps."""
    meta = {key: value for key, value in one["metadata"].items() if key != "resourceVersion"}
    return {"apiVersion": "submariner.io/v1", "kind": KIND_NAMES[plural], **one, "metadata": meta}


def objects_of(own: str, peer: str, status: str = "connected") -> Iterator[Json]:
    said = {
        "gateways": [made.gateway(own, made.connection(peer, status))],
        "endpoints": [made.endpoint("east"), made.endpoint("west")],
        "clusters": [made.cluster("east"), made.cluster("west")],
        "routeagents": [made.route_agent(f"{own}-w1", peer)],
    }
    yield from (whole(plural, one) for plural, objects in said.items() for one in objects)


def put(clusters: Clusters, name: str, *objects: Json) -> None:
    """Without a second request for the status: these kinds have no such subresource."""
    clusters.kubectl(
        name, "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )


def install_crds(clusters: Clusters, name: str) -> None:
    for file in find_crds(PLURALS):
        clusters.kubectl(name, "apply", "-f", str(file))
    crds = [f"crd/{plural}.submariner.io" for plural in PLURALS]
    clusters.kubectl(name, "wait", "--for=condition=Established", "--timeout=60s", *crds)


@pytest.fixture(scope="module")
def joined(clusters: Clusters) -> Iterator[Clusters]:
    """Both clusters with two nodes each, and what Submariner would have written."""
    find_crds(PLURALS)
    try:
        for name, (own, peer) in MEMBERS.items():
            install_crds(clusters, name)
            clusters.kubectl(name, "create", "namespace", made.NAMESPACE)
            clusters.apply(name, *(node(each, address) for each, address in NODES[name].items()))
            put(clusters, name, *objects_of(own, peer))
        yield clusters
    finally:
        for name in MEMBERS:
            clusters.kubectl(
                name, "delete", "crd", "--ignore-not-found", *(f"{one}.submariner.io" for one in PLURALS)
            )
            clusters.kubectl(name, "delete", "node", "--ignore-not-found", *NODES[name])
            clusters.end_namespace(name, made.NAMESPACE)
            clusters.end_namespace(name)


async def nobody() -> tuple[Presence, ...]:
    return ()


@asynccontextmanager
async def viewed(clusters: Clusters, folder: Path) -> AsyncIterator[FleetView]:
    """The fleet as a collector without an inventory file sees it."""
    for name in MEMBERS:
        (folder / f"{name}.kubeconfig").write_text(clusters.kubeconfigs[name].read_text())
        (folder / f"{name}.yaml").write_text(json.dumps({"name": name, "kubeconfig": f"{name}.kubeconfig"}))
    watchers = ClusterWatchers(ClusterRegistry(folder), Admission(), pace=PACE)
    running = asyncio.ensure_future(watchers.run())
    try:
        yield FleetView(watchers)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(view: FleetView, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.1)
            await view.refresh(nobody)
    assert not [found.away for found in view.known if found.away]


async def test_two_clusters_are_a_topology_without_an_inventory_file(
    joined: Clusters, tmp_path: Path
) -> None:
    async with viewed(joined, tmp_path) as view:
        await until(view, lambda: bool(view(Inventory()).links) and len(view.claims()) == 4)
        document: Any = topology_document(Snapshot(1, 10**10, view(Inventory())))
        (there, back) = document["links"]
        assert (there["source_gateway"], there["target_gateway"]) == (f"{PROD}/east-gw", f"{STAGING}/west-gw")
        assert (there["mechanism"], there["outer_port"], there["known_from"]) == ("ipsec", 4501, "Submariner")
        assert back["source"] == STAGING
        nodes = {one["name"]: one for cluster in document["clusters"] for one in cluster["nodes"]}
        assert {name: (one["role"], one["source"]) for name, one in nodes.items()} == {
            "east-gw": ("gateway", "Submariner"),
            "east-w1": ("worker", "Kubernetes API"),
            "west-gw": ("gateway", "Submariner"),
            "west-w1": ("worker", "Kubernetes API"),
        }
        assert [found.unread for each in view.known for found in each.fabrics] == [(), ()]

        put(joined, PROD, *objects_of("east", "west", "error"))
        await until(view, lambda: ClaimState.DOWN in {claim.state for claim in view.claims()})
        assert len(view(Inventory()).links) == 1, "a claim is not part of the inventory"

        # The definition goes and comes back while the collector runs: no restart, and the link follows.
        joined.kubectl(PROD, "delete", "crd", "gateways.submariner.io")
        await until(view, lambda: not any(claim.subject.source == PROD and not claim.subject.node
                                          for claim in view.claims()))  # fmt: skip
        install_crds(joined, PROD)
        put(joined, PROD, *objects_of("east", "west"))
        await until(view, lambda: len(view.claims()) == 4 and len(view(Inventory()).links) == 1)


async def test_the_component_grants_what_is_read_and_no_secret(joined: Clusters, tmp_path: Path) -> None:
    joined.kubectl(PROD, "create", "namespace", "netprobe")
    joined.kubectl(PROD, "-n", "netprobe", "create", "serviceaccount", "netprobe-reader")
    manifest = MANIFESTS / "components/submariner/reader.yaml"
    joined.kubectl(PROD, "apply", "-f", str(manifest))
    try:
        token = joined.kubectl(PROD, "-n", "netprobe", "create", "token", "netprobe-reader").strip()
        told = yaml.safe_load(joined.kubeconfigs[PROD].read_text())
        told["users"] = [{"name": one["name"], "user": {"token": token}} for one in told["users"]]
        (tmp_path / "reader").write_text(json.dumps(told))
        async with open_api(read_contexts([tmp_path / "reader"]).choose()[0]) as api:
            (found,) = await read_fabrics(api)
            assert (found.cluster, found.unread) == ("east", ())
            with pytest.raises(ApiRefusedError, match="not allowed"):
                await api.list("/api/v1/namespaces/netprobe/secrets", Named)
    finally:
        joined.kubectl(PROD, "delete", "-f", str(manifest), "--ignore-not-found")
