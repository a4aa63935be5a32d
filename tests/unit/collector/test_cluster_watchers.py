"""Who is said to run: what a cluster's API tells of its agents' pods and nodes, over a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from netprobe.collector.admission import Admission
from netprobe.collector.cluster_watchers import ClusterWatchers, FleetView
from netprobe.collector.registry import ClusterRegistry
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.model.expected_agents import AgentPod, ExpectedAgents
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName, NodeId
from netprobe.wire.messages import Presence
from tests.unit.discovery.api_server import (
    Json,
    Served,
    serve,
    write_kubeconfig,
)
from tests.unit.discovery.fabrics import submariner_objects

PATIENCE_S = 60
PACE = WatchSettings(settle_s=0.01, retry_s=0.01)
STARTED = "2026-11-28T03:12:00Z"
STARTED_NS = 1_795_835_520 * 10**9


def node(name: str, *, ready: bool = True) -> Json:
    condition = {"type": "Ready", "status": "True" if ready else "Unknown"}
    addresses = [{"type": "InternalIP", "address": "192.0.2.1"}]
    return {"metadata": {"name": name}, "status": {"conditions": [condition], "addresses": addresses}}


def pod(on: str, state: Json, *, ready: bool = False, **meta: str) -> Json:
    status = {
        "phase": "Running",
        "podIPs": [{"ip": "198.51.100.7"}],
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": "agent", "state": state}],
    }
    labels = {"netprobe.io/plane": "pod"}
    return {
        "metadata": {"name": f"agent-{on}", "namespace": "netprobe", "uid": f"uid-{on}", "labels": labels}
        | meta,
        "spec": {"nodeName": on},
        "status": status,
    }


async def nobody() -> tuple[Presence, ...]:
    return ()


@asynccontextmanager
async def surveyed(served: Served, folder: Path) -> AsyncIterator[FleetView]:
    """A survey of one registered cluster, once its API was read."""
    async with serve(served):
        write_kubeconfig(folder / "prod.kubeconfig", served.url)
        (folder / "prod.yaml").write_text(json.dumps({"name": "prod", "kubeconfig": "prod.kubeconfig"}))
        gathering = ClusterWatchers(ClusterRegistry(folder), Admission(), pace=PACE)
        survey = FleetView(gathering)
        running = asyncio.ensure_future(gathering.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not survey.expected_agents().pods:
                    await asyncio.sleep(0.01)
                    await survey.refresh(nobody)
            yield survey
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def by_node(muster: ExpectedAgents) -> dict[str, AgentPod]:
    return {str(one.agent.node): one for one in muster.pods}


async def test_pods_that_run_are_told_with_what_their_kubelet_says(tmp_path: Path) -> None:
    crashed = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
    ended = pod("w3", {"running": {"startedAt": STARTED}}, deletionTimestamp=STARTED)
    items = {
        "nodes": [node("w1"), node("w2", ready=False), node("w3")],
        "pods": [pod("w1", {"running": {"startedAt": STARTED}}, ready=True), pod("w2", crashed), ended],
    }
    async with surveyed(Served(items=items), tmp_path) as survey:
        told = survey.expected_agents()
    assert told.not_ready == {NodeId.parse("prod/w2")}
    assert (told.unsure, told.home) == (frozenset(), None)
    agent = AgentId.parse("prod/w1/pod")
    assert by_node(told) == {
        "w1": AgentPod(
            "uid-w1", "netprobe", "agent-w1", agent, runs=True, since_ns=STARTED_NS, is_ready=True
        ),
        "w2": AgentPod(
            "uid-w2", "netprobe", "agent-w2", AgentId.parse("prod/w2/pod"), runs=True,
            waits="CrashLoopBackOff",
        ),
    }  # fmt: skip


async def test_pods_of_a_visit_are_nobody_who_reports_here(tmp_path: Path) -> None:
    """They carry the same labels, in a namespace of their own, and report to their visit."""
    state = {"running": {"startedAt": STARTED}}
    visiting = pod("w1", state, namespace="netprobe-visit-x7", uid="visiting")
    items = {"nodes": [node("w1"), node("w2")], "pods": [pod("w1", state), visiting]}
    items["pods"] += [pod("w2", state, namespace="netprobe-visit-x7")]
    async with surveyed(Served(items=items), tmp_path) as survey:
        assert [one.uid for one in survey.expected_agents().pods] == ["uid-w1"]


async def test_a_start_that_is_no_moment_is_not_told(tmp_path: Path) -> None:
    items = {"nodes": [node("w1")], "pods": [pod("w1", {"running": {"startedAt": "yesterday"}})]}
    async with surveyed(Served(items=items), tmp_path) as survey:
        assert by_node(survey.expected_agents())["w1"].since_ns is None


async def test_while_the_api_is_away_its_pods_are_not_sure(tmp_path: Path) -> None:
    served = Served(items={"nodes": [node("w1")], "pods": [pod("w1", {"running": {"startedAt": STARTED}})]})
    async with surveyed(served, tmp_path) as survey:
        assert survey.expected_agents().unsure == frozenset()
        write_kubeconfig(tmp_path / "prod.kubeconfig", "http://127.0.0.1:1")
        (tmp_path / "prod.yaml").write_text(json.dumps({"name": "prod", "kubeconfig": "prod.kubeconfig"}))
        async with asyncio.timeout(PATIENCE_S):
            while not survey.expected_agents().unsure:
                await asyncio.sleep(0.01)
                await survey.refresh(nobody)
        assert survey.expected_agents().unsure == {ClusterName("prod")}
        assert by_node(survey.expected_agents())["w1"].runs


FABRIC = {"submariner.io/v1": ["gateways", "endpoints", "clusters", "routeagents"]}
GATEWAY_ADDRESSES = {"east": "192.0.2.11", "west": "198.51.100.21"}


def joined(own: str, peer: str) -> Served:
    """A cluster whose only node is Submariner's gateway."""
    gateway = node(f"{own}-gw")
    gateway["status"]["addresses"] = [{"type": "InternalIP", "address": GATEWAY_ADDRESSES[own]}]
    said = submariner_objects.east() | {
        "gateways": [submariner_objects.gateway(own, submariner_objects.connection(peer))],
        "routeagents": [],
    }
    return Served(items={"nodes": [gateway], **said}, resources=dict(FABRIC))


async def test_a_fabric_joins_registered_clusters_without_a_written_word(tmp_path: Path) -> None:
    async with serve(joined("east", "west")) as east, serve(joined("west", "east")) as west:
        for name, served in {"prod": east, "staging": west}.items():
            write_kubeconfig(tmp_path / f"{name}.kubeconfig", served.url)
            told = {"name": name, "kubeconfig": f"{name}.kubeconfig"}
            (tmp_path / f"{name}.yaml").write_text(json.dumps(told))
        watchers = ClusterWatchers(ClusterRegistry(tmp_path), Admission(), pace=PACE)
        view = FleetView(watchers, flat=True)
        running = asyncio.ensure_future(watchers.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(view.claims()) < 2:
                    await asyncio.sleep(0.01)
                    await view.refresh(nobody)
            (link,) = view(Inventory()).links
            assert (link.name, link.known_from) == ("ipsec:prod–staging", "Submariner")
            assert {(claim.subject.source, claim.subject.target) for claim in view.claims()} == {
                ("prod", "staging"),
                ("staging", "prod"),
            }
            # The API of one end goes: what was known of it stays, the link too.
            write_kubeconfig(tmp_path / "staging.kubeconfig", "http://127.0.0.1:1")
            registration = {"name": "staging", "kubeconfig": "staging.kubeconfig", "in_cluster": False}
            (tmp_path / "staging.yaml").write_text(json.dumps(registration))
            async with asyncio.timeout(PATIENCE_S):
                while not any(found.away for found in view.known):
                    await asyncio.sleep(0.01)
                    await view.refresh(nobody)
            assert view(Inventory()).links == (link,)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
