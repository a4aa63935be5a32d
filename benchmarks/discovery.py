"""One watcher on a large cluster: memory and API calls, on a real API server filled with made-up objects.

    python -m benchmarks discovery --json [--nodes 1000] [--pods 10000] [--kubeconfig FILE]

A fifth of the pods are agents' (both planes of every node where there are enough); the others must cost the
watcher nothing, because its selector leaves them at the server. The watcher runs in a process of its own:
``rss_import_mib`` is before it asks anything, ``rss_watching_mib`` with everything known, ``rss_peak_mib``
the most in between; ``naive_…`` is the list of nodes and all pods kept as the client library's own objects.
``calls_first`` is until everything is known, ``calls_per_minute`` in a minute in which nothing happens but
what the cluster's own controllers do, ``calls_after_churn`` while a tenth of the nodes change. Without
``--kubeconfig`` it holds a cluster of its own (see docs/e2e.md).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.filled_api import do_each, make_once, open_kubeconfig, rss_mib
from netprobe.discovery.k8s.client import ClusterApi
from netprobe.discovery.k8s.schema import Named
from netprobe.discovery.k8s.watch import ClusterWatch, WatchedCluster
from netprobe.model.names import ClusterName

QUIET_S = 60.0
NAMESPACE = "netprobe-bench"
_NODES = "/api/v1/nodes"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def run(arguments: list[str]) -> dict[str, object]:
    """Fill a cluster, watch it from a fresh process, empty it again."""
    chosen = _parser().parse_args(arguments)
    if chosen.kubeconfig is not None:
        return _measure(chosen.kubeconfig, chosen.nodes, chosen.pods)
    from tests.e2e.cluster.client import Clusters, why_not  # noqa: PLC0415 - only where nothing is given

    if reason := why_not():
        sys.exit(f"benchmarks discovery: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        clusters = Clusters(Path(folder))
        try:
            return _measure(next(iter(clusters.kubeconfigs.values())), chosen.nodes, chosen.pods)
        finally:
            clusters.close()


def _measure(kubeconfig: Path, nodes: int, pods: int) -> dict[str, object]:
    began = time.perf_counter()
    asyncio.run(_fill(kubeconfig, nodes, pods))
    filled_s = time.perf_counter() - began
    try:
        figures = _in_fresh_process("watch", kubeconfig, nodes, pods) | _in_fresh_process(
            "naive", kubeconfig, nodes, pods
        )
    finally:
        asyncio.run(_empty(kubeconfig, nodes, pods))
    return {"nodes": nodes, "pods": pods, "fill_seconds": round(filled_s, 1), **figures}


def _in_fresh_process(what: str, kubeconfig: Path, nodes: int, pods: int) -> dict[str, object]:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.discovery", what, str(kubeconfig), str(nodes), str(pods)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told: dict[str, object] = json.loads(ran.stdout)
    return told


# --- filling and emptying ----------------------------------------------------------------------


def _node(number: int) -> dict[str, Any]:
    name = f"bench-{number:05}"
    address = f"10.{100 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "m6i.xlarge", "topology.kubernetes.io/region": "region-1",
                "topology.kubernetes.io/zone": f"region-1{'abc'[number % 3]}",
            },
        },
        "spec": {"providerID": f"cloud:///region-1/i-{number:017x}"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name},
            ],
            "conditions": [
                {"type": kind, "status": str(kind == "Ready"), "reason": "Kubelet", "message": "ok"}
                for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
            ],
            "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            # What makes real nodes large: a list of images.
            "images": [
                {"names": [f"registry.example/app-{image}@sha256:{image:064x}"], "sizeBytes": 10**8}
                for image in range(30)
            ],
        },
    }  # fmt: skip


def _name(number: int, agents: int) -> str:
    return f"{'agent' if number < agents else 'app'}-{number:06}"


def _pod(number: int, nodes: int, agents: int) -> dict[str, Any]:
    is_agent = number < agents
    plane = "pod" if number < nodes else "host"
    labels = {"app.kubernetes.io/name": "netprobe-agent", "netprobe.io/plane": plane}
    other = {"app": f"shop-{number % 50}", "pod-template-hash": "5d4f8c7b9"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": _name(number, agents),
            "labels": labels if is_agent else other,
        },
        "spec": {
            "nodeName": f"bench-{number % nodes:05}",
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "main", "image": "registry.example/app:1",
                    "env": [{"name": f"E{i}", "value": "x" * 40} for i in range(10)],
                }
            ],
        },
    }  # fmt: skip


def _running(number: int) -> dict[str, Any]:
    address = f"10.{20 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
    return {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}


async def _fill(kubeconfig: Path, nodes: int, pods: int) -> None:
    agents = min(pods // 5, 2 * nodes)
    async with open_kubeconfig(kubeconfig) as api:
        await make_once(api.create("/api/v1/namespaces", _namespace(), Named))
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await make_once(api.create(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account, Named))
        await do_each(range(nodes), lambda number: make_once(api.create(_NODES, _node(number), Named)))
        await do_each(
            range(pods), lambda number: make_once(api.create(_PODS, _pod(number, nodes, agents), Named))
        )
        await do_each(range(agents), lambda number: _run_pod(api, number))


async def _run_pod(api: ClusterApi, number: int) -> None:
    name = _name(number, number + 1)
    meta = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}}
    await api.apply(f"{_PODS}/{name}/status", {**meta, **_running(number)}, Named)


async def _empty(kubeconfig: Path, nodes: int, pods: int) -> None:
    agents = min(pods // 5, 2 * nodes)

    async def remove(number: int) -> None:
        await api.delete(f"{_PODS}/{_name(number, agents)}?gracePeriodSeconds=0")

    async with open_kubeconfig(kubeconfig) as api:
        await do_each(range(pods), remove)
        await api.delete(f"/api/v1/namespaces/{NAMESPACE}")
        await do_each(range(nodes), lambda number: api.delete(f"{_NODES}/bench-{number:05}"))


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


# --- what is measured, in a process of its own --------------------------------------------------


async def _watch(kubeconfig: Path, nodes: int, pods: int) -> dict[str, object]:
    agents = min(pods // 5, 2 * nodes)
    heard: list[WatchedCluster] = []
    news = asyncio.Event()

    def hear(watched: WatchedCluster) -> None:
        heard[:] = [watched]
        news.set()

    async with open_kubeconfig(kubeconfig) as api, open_kubeconfig(kubeconfig) as other:
        before, began = rss_mib(), time.perf_counter()
        watch = ClusterWatch(api, ClusterName("bench"), hear)
        running = asyncio.ensure_future(watch.run())
        while not heard or len(heard[0].facts.cluster.nodes) < nodes:
            news.clear()
            await news.wait()
        first_s, first = time.perf_counter() - began, api.calls
        assert len(heard[0].facts.agents) == agents, (len(heard[0].facts.agents), agents)
        watching = rss_mib()
        await asyncio.sleep(QUIET_S)
        quiet = api.calls - first
        deliveries = await _churn(other, heard, news, nodes)
        churned = api.calls - first - quiet
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return {
        "agents": agents,
        "first_seconds": round(first_s, 2),
        "calls_first": first,
        "calls_per_minute": quiet,
        "churn_nodes": nodes // 10,
        "churn_deliveries": deliveries,
        "calls_after_churn": churned,
        "rss_import_mib": before,
        "rss_watching_mib": watching,
        "rss_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


async def _churn(api: ClusterApi, heard: list[WatchedCluster], news: asyncio.Event, nodes: int) -> int:
    """A tenth of the nodes get another label; return how many deliveries that made."""
    some = {f"bench-{number:05}" for number in range(nodes // 10)}
    elsewhere = f"moved-{time.time_ns()}"  # a run that was cut short may have left them moved
    zone = {"topology.kubernetes.io/zone": elsewhere}

    async def move(number: int) -> None:
        name = f"bench-{number:05}"
        found = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": zone}}
        await api.apply(f"{_NODES}/{name}", found, Named)

    moving = asyncio.ensure_future(do_each(range(nodes // 10), move))
    deliveries = 0
    while True:
        news.clear()
        await news.wait()
        deliveries += 1
        if some <= {node.name for node in heard[0].facts.cluster.nodes if node.zone == elsewhere}:
            await moving
            return deliveries


async def _naive(kubeconfig: Path) -> dict[str, object]:
    """What an informer on whole objects of the client library would keep."""
    from kubernetes.aio import client, config  # noqa: PLC0415

    before = rss_mib()
    await config.load_kube_config(str(kubeconfig))
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        kept: list[Any] = [await core.list_node(), await core.list_pod_for_all_namespaces()]
        return {
            "naive_kept": sum(len(one.items) for one in kept),
            "naive_rss_import_mib": before,
            "naive_rss_mib": rss_mib(),
        }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks discovery")
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--kubeconfig", type=Path, help="a cluster to fill and empty again")
    return parser


def _main() -> None:
    what, kubeconfig, nodes, pods = sys.argv[1:]
    measure = _watch(Path(kubeconfig), int(nodes), int(pods)) if what == "watch" else _naive(Path(kubeconfig))
    print(json.dumps(asyncio.run(measure)))


if __name__ == "__main__":
    _main()
