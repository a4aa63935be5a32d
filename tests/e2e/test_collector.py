"""The collector on real API servers: watches feed the inventory, an outage takes nothing away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from netprobe.analysis.analyst import Analyst
from netprobe.bus.agent import AgentBus
from netprobe.bus.keys import new_user
from netprobe.bus.login import TokenLogin
from netprobe.bus.operator import Access, ask_health, ask_snapshot
from netprobe.bus.server import Listen
from netprobe.cli.actions.collector import plan
from netprobe.collector.ports import AnalysisPorts
from netprobe.collector.service import run_collector
from netprobe.collector.settings import Settings
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.token_issuer import Issuer, read_issuer
from netprobe.errors import NetprobeError
from netprobe.model.inventory import Cluster
from netprobe.model.names import AgentId
from netprobe.wire.clusters import RegisteredDoc
from netprobe.wire.messages import Presence
from tests.e2e.cluster.certificates import write_key
from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import STAGING
from tests.e2e.tokens import MadePod, make_namespace, make_pod, make_token

PATIENCE_S = 100.0
pytestmark = pytest.mark.timeout(400)
NODES = {"c1": "10.42.8.1", "c2": "10.42.8.2"}


@dataclass(frozen=True, slots=True)
class ClusterOfPods:
    clusters: Clusters
    pods: dict[str, MadePod]


@pytest.fixture(scope="module")
def fleet(clusters: Clusters) -> Iterator[ClusterOfPods]:
    """Two agents' pods in one real cluster."""
    make_namespace(clusters, STAGING)
    yield ClusterOfPods(
        clusters,
        {
            on: make_pod(clusters, STAGING, on, name=f"agent-{on}", address=address)
            for on, address in NODES.items()
        },
    )
    for on in NODES:
        clusters.kubectl(STAGING, "delete", "node", on)
    clusters.end_namespace(STAGING)


@dataclass(slots=True)
class House:
    """A running collector, and how it is asked."""

    access: Access
    folder: Path

    async def cluster(self, holds: Callable[[Cluster], bool]) -> Cluster:
        """The one cluster of the map, once it is as it should be."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    clusters = (await ask_snapshot(self.access)).inventory.clusters
                    if clusters and holds(clusters[0]):
                        return clusters[0]
                except NetprobeError:
                    pass  # nothing is concluded yet
                await asyncio.sleep(0.1)

    async def refusals(self, reason: str) -> None:
        """Return once a token was refused for *reason*."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                refused = (await ask_health(self.access))["tokens_refused"]
                assert isinstance(refused, dict)
                if refused.get(reason):
                    return
                await asyncio.sleep(0.1)


def register(clusters: Clusters, folder: Path) -> None:
    """What `netprobe install` writes for a cluster."""

    async def ask() -> Issuer:
        async with open_api(read_contexts([clusters.kubeconfigs[STAGING]]).choose()[0]) as api:
            return await read_issuer(api)

    issuer = asyncio.run(ask())
    folder.mkdir()
    (folder / "staging.kubeconfig").write_bytes(clusters.kubeconfigs[STAGING].read_bytes())
    doc = RegisteredDoc(STAGING, issuer.name, issuer.keys, kubeconfig="staging.kubeconfig")
    (folder / "staging.yaml").write_bytes(msgspec.json.encode(doc))


@asynccontextmanager
async def collector(folder: Path, clusters: Path) -> AsyncIterator[House]:
    operator = new_user()
    keys = json.dumps({"agents": {}, "operators": [operator[1]]})
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread((folder / "keys.json").write_text, keys)
    settings = Settings(
        None, folder / "data", Listen("127.0.0.1", 0), folder / "keys.json", interval_ns=300_000_000,
        clusters=clusters,
    )  # fmt: skip
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_collector(settings, AnalysisPorts(plan, Analyst), stop=stop))
        async with asyncio.timeout(PATIENCE_S):
            while not settings.ready_file.exists():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)
        yield House(Access(json.loads(settings.ready_file.read_text())["url"], operator[0]), folder)
        stop.set()


@asynccontextmanager
async def agent(here: House, on: str, token: str) -> AsyncIterator[AgentBus]:
    """An agent that has announced itself."""
    name = AgentId.parse(f"{STAGING}/{on}/pod")
    file = here.folder / f"token-{on}"
    file.write_text(token)
    async with await AgentBus.connect(here.access.url, agent=name, login=TokenLogin(name, file)) as bus:
        async with asyncio.timeout(PATIENCE_S):
            while not bus.is_connected:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await bus.announce(Presence(name, "boot", 1, addresses=(NODES[on],)))
        yield bus


def names(cluster: Cluster) -> set[str]:
    return {str(node.name) for node in cluster.nodes}


async def test_an_api_feeds_the_map_and_its_restart_takes_nothing_away(
    fleet: ClusterOfPods, tmp_path: Path
) -> None:
    await asyncio.to_thread(register, fleet.clusters, tmp_path / "clusters")
    tokens = {on: await asyncio.to_thread(make_token, fleet.clusters, pod) for on, pod in fleet.pods.items()}
    async with collector(tmp_path / "house", tmp_path / "clusters") as here, AsyncExitStack() as stack:
        await here.cluster(lambda cluster: names(cluster) >= NODES.keys() and not cluster.away)
        buses = {on: await stack.enter_async_context(agent(here, on, token)) for on, token in tokens.items()}
        async with asyncio.timeout(PATIENCE_S):
            async for handed in buses["c1"].plans():
                if NODES["c2"] in {check.target.address for check in handed.checks}:
                    break
        await asyncio.to_thread(fleet.clusters.stop_api, STAGING)
        try:
            away = await here.cluster(lambda cluster: bool(cluster.away))
            assert names(away) >= NODES.keys()
            async with collector(tmp_path / "late", tmp_path / "clusters") as late:
                unread = await late.cluster(lambda cluster: bool(cluster.away))
                assert names(unread) == set()
                async with agent(late, "c1", tokens["c1"]):
                    heard = await late.cluster(lambda cluster: names(cluster) == {"c1"})
                    assert heard.nodes[0].pod_addresses == (NODES["c1"],)
                    assert heard.away
                    assert (await ask_health(late.access))["tokens_unchecked"]
        finally:
            await asyncio.to_thread(fleet.clusters.start_api, STAGING)
        await here.cluster(lambda cluster: not cluster.away)


async def test_a_token_that_outlives_its_pod_does_not_come_in_again(
    fleet: ClusterOfPods, tmp_path: Path
) -> None:
    await asyncio.to_thread(register, fleet.clusters, tmp_path / "clusters")
    pod = await asyncio.to_thread(
        make_pod, fleet.clusters, STAGING, "c1", name="agent-short", address="10.42.8.9"
    )
    token = await asyncio.to_thread(make_token, fleet.clusters, pod)
    async with collector(tmp_path / "house", tmp_path / "clusters") as here:
        await here.cluster(lambda cluster: not cluster.away)
        async with agent(here, "c1", token):
            pass
        await asyncio.to_thread(
            fleet.clusters.kubectl, STAGING, "delete", "pod", pod.name, "-n", pod.namespace, "--force",
            "--grace-period=0",
        )  # fmt: skip
        name = AgentId.parse(f"{STAGING}/c1/pod")
        (here.folder / "replayed").write_text(token)
        login = TokenLogin(name, here.folder / "replayed")
        async with asyncio.timeout(PATIENCE_S):
            while True:  # the watch hears of the deletion a moment later
                async with await AgentBus.connect(here.access.url, agent=name, login=login):
                    await asyncio.sleep(0.2)
                    if (await ask_health(here.access))["tokens_refused"]:
                        break
        await here.refusals("pod-gone")


def rotate_keys(clusters: Clusters) -> None:
    """Let the API server sign with a new key from now on; tokens of the old one stay good."""
    child = Path(f"/proc/{clusters.pid}/task/{clusters.pid}/children").read_text().split()[0]
    file = Path(f"/proc/{child}/root/run/netprobe-e2e/{STAGING}/accounts.key")
    before = file.read_bytes()
    write_key(file, ec.generate_private_key(ec.SECP256R1()))
    file.write_bytes(file.read_bytes() + before)
    clusters.stop_api(STAGING)
    clusters.start_api(STAGING)


async def test_keys_that_are_rotated_are_asked_for_anew(fleet: ClusterOfPods, tmp_path: Path) -> None:
    await asyncio.to_thread(register, fleet.clusters, tmp_path / "clusters")
    async with collector(tmp_path / "house", tmp_path / "clusters") as here:
        await here.cluster(lambda cluster: not cluster.away)
        await asyncio.to_thread(rotate_keys, fleet.clusters)
        token = ""
        async with asyncio.timeout(PATIENCE_S):
            while not token:  # the API server is just starting
                with suppress(AssertionError):
                    token = await asyncio.to_thread(make_token, fleet.clusters, fleet.pods["c1"])
        async with agent(here, "c1", token):
            await here.refusals("unknown-key")  # at first, until the keys were asked for again
