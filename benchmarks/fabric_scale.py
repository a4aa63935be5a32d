"""A cluster that Submariner joins with 199 others: 20,000 objects in a real API server, read by one watcher.

    python -m benchmarks fabric-scale --json [--clusters 200] [--objects 20000]

The objects are made up by the CRDs of Submariner and the MCS API. The watcher runs in a process of its own
with the pace of a collector: ``known_seconds`` and ``known_cpu_seconds`` are from its start until every
object is in the facts, ``rss_above_mib`` what it then weighs more than before it asked anything,
``rss_peak_mib`` the most in between. It holds a cluster of its own (docs/e2e.md).
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
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.filled_api import do_each, make_once, open_kubeconfig, rss_mib
from netprobe.discovery.k8s.fabric_watch import FabricWatch
from netprobe.discovery.k8s.schema import Named
from netprobe.model.fabric import FabricFacts
from netprobe.model.names import ClusterName

if TYPE_CHECKING:
    from tests.e2e.cluster.client import Clusters

_NAMESPACE = "submariner-operator"
_SUBMARINER, _MCS = "submariner.io/v1", "multicluster.x-k8s.io/v1alpha1"
_NODES = 98
Json = dict[str, Any]


def run(arguments: list[str]) -> dict[str, object]:
    """Fill a cluster, read it from a fresh process."""
    chosen = _parser().parse_args(arguments)
    from tests.e2e.cluster.client import Clusters, why_not  # noqa: PLC0415 - only to hold a cluster

    if reason := why_not():
        sys.exit(f"benchmarks fabric-scale: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        clusters = Clusters(Path(folder))
        try:
            name, kubeconfig = next(iter(clusters.kubeconfigs.items()))
            _install(clusters, name)
            objects = tuple(_objects(chosen.clusters, chosen.objects))
            asyncio.run(_fill(kubeconfig, objects))
            return {"clusters": chosen.clusters, "objects": len(objects), **_measure(kubeconfig, chosen)}
        finally:
            clusters.close()


def _install(clusters: Clusters, name: str) -> None:
    from tests.e2e.fabric_crds import find_folder  # noqa: PLC0415

    for fabric in ("Submariner", "MCS API"):
        clusters.kubectl(name, "apply", "-f", str(find_folder(fabric)))
    clusters.kubectl(name, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")


def _measure(kubeconfig: Path, chosen: argparse.Namespace) -> dict[str, object]:
    words = (str(kubeconfig), str(chosen.clusters), str(chosen.objects))
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.fabric_scale", *words],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told: dict[str, object] = json.loads(ran.stdout)
    return told


# --- objects -----------------------------------------------------------------------------------


def _objects(clusters: int, total: int) -> Iterator[tuple[str, Json]]:
    """By the path that each is made at; the last ones are services, as many as are missing."""
    peers = range(1, clusters)
    connections = [_connection(number) for number in peers]
    remotes = [{**_state(), "spec": _cable(number)} for number in peers]
    gateways = [_gateway(role, connections) for role in ("active", "passive")]
    agent = {"version": "0.24.0", "statusFailure": "", "remoteEndpoints": remotes}
    fixed: list[tuple[str, Json]] = []
    for one in range(clusters):
        fixed.append(_object(_SUBMARINER, "clusters", "Cluster", f"c{one}", spec=_ranges(one)))
        fixed.append(_object(_SUBMARINER, "endpoints", "Endpoint", f"e{one}", spec=_cable(one)))
    for at, status in enumerate(gateways):
        fixed.append(_object(_SUBMARINER, "gateways", "Gateway", f"gw{at}", status=status))
    fixed += [
        _object(_SUBMARINER, "routeagents", "RouteAgent", f"n{one}", status=agent) for one in range(_NODES)
    ]
    yield from fixed
    for one in range(total - len(fixed)):
        name = f"s{one:05}"
        if one % 2:
            yield _object(_MCS, "serviceexports", "ServiceExport", name)
        else:
            spec: Json = {"type": "ClusterSetIP", "ips": [], "ports": []}
            yield _object(_MCS, "serviceimports", "ServiceImport", name, spec=spec)


def _object(version: str, plural: str, kind: str, name: str, **body: Json) -> tuple[str, Json]:
    meta: Json = {"name": name, "namespace": _NAMESPACE}
    if plural == "gateways":
        meta["annotations"] = {"update-timestamp": str(int(time.time()))}
    path = f"/apis/{version}/namespaces/{_NAMESPACE}/{plural}"
    return path, {"apiVersion": version, "kind": kind, "metadata": meta, **body}


def _ranges(number: int) -> Json:
    return {
        "cluster_id": f"c{number}", "cluster_cidr": [f"10.{number % 256}.0.0/16"],
        "service_cidr": [f"172.{number % 256}.0.0/16"], "global_cidr": [],
    }  # fmt: skip


def _cable(number: int) -> Json:
    address = f"192.0.{number // 256}.{number % 256}"
    return {
        "cluster_id": f"c{number}", "cable_name": f"submariner-cable-c{number}", "hostname": f"c{number}-gw",
        "subnets": [f"10.{number % 256}.0.0/16"], "private_ip": address, "privateIPs": [address],
        "public_ip": address, "publicIPs": [address], "nat_enabled": False, "backend": "vxlan",
        "backend_config": {"natt-discovery-port": "4490", "udp-port": "4500"},
    }  # fmt: skip


def _state() -> Json:
    rtt = dict.fromkeys(("last", "min", "average", "max", "stdDev"), "1.16ms")
    return {"status": "connected", "statusMessage": "", "latencyRTT": rtt}


def _connection(number: int) -> Json:
    return {**_state(), "endpoint": _cable(number), "usingIP": "192.0.2.1", "usingNAT": False}


def _gateway(role: str, connections: list[Json]) -> Json:
    return {
        "haStatus": role, "version": "0.24.0", "statusFailure": "", "localEndpoint": _cable(0),
        "connections": connections if role == "active" else [],
    }  # fmt: skip


async def _fill(kubeconfig: Path, objects: tuple[tuple[str, Json], ...]) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    async with open_kubeconfig(kubeconfig) as api:
        await make_once(api.create("/api/v1/namespaces", namespace, Named))
        await do_each(range(len(objects)), lambda at: make_once(api.create(*objects[at], Named)))


# --- what is measured, in a process of its own --------------------------------------------------


async def _watch(kubeconfig: Path, clusters: int, total: int) -> dict[str, object]:
    heard: list[tuple[FabricFacts, ...]] = []
    news = asyncio.Event()

    def hear(facts: tuple[FabricFacts, ...]) -> None:
        heard[:] = [facts]
        news.set()

    async with open_kubeconfig(kubeconfig) as api:
        before, began, cpu = rss_mib(), time.perf_counter(), time.process_time()
        running = asyncio.ensure_future(FabricWatch(api, ClusterName("bench"), hear).run())
        while not heard:
            await news.wait()
        known_s, known_cpu_s, calls = time.perf_counter() - began, time.process_time() - cpu, api.calls
        watching = rss_mib()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    submariner, mcs = heard[0]
    return {
        "links": len(submariner.links),
        "links_expected": clusters - 1,
        "claims": len(submariner.claims),
        "claims_expected": (clusters - 1) * (_NODES + 1),
        "services": len(mcs.services),
        "services_expected": total - 2 * clusters - 2 - _NODES,
        "unread": len(submariner.unread) + len(mcs.unread),
        "calls": calls,
        "known_seconds": round(known_s, 2),
        "known_cpu_seconds": round(known_cpu_s, 2),
        "rss_import_mib": before,
        "rss_above_mib": round(watching - before, 1),
        "rss_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fabric-scale")
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--objects", type=int, default=20_000)
    return parser


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_watch(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
