"""Submariner between the two clusters: its own gateways with the vxlan cable, and a broker in one of them.

Rule: no object and no tunnel here is made up. The programs read their settings from where the operator would
put them, write their own objects, and carry the packets of all pods; the way between the segments is closed
to pods. Only the route agent cannot be built, so the one route that it would set on the worker is set here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.discovery.fabrics.submariner import KINDS
from tests.e2e.cluster.client import Clusters
from tests.e2e.cluster.fabric_build import GATEWAY, program
from tests.e2e.cluster.images import PAUSE
from tests.e2e.cluster.network import Layout
from tests.e2e.cluster.node_namespace import LAYOUTS
from tests.e2e.fabric_crds import find_crds
from tests.e2e.test_clusters import PROD, STAGING
from tests.patience import wait_until

OPERATOR = "submariner-operator"
BROKER = "submariner-k8s-broker"
CABLE_PORT = 4500
MEMBERS = {PROD: "east", STAGING: "west"}
GATEWAYS = {PROD: "prod-1", STAGING: "staging-1"}
_POD = "submariner-gateway-0"
_LAYOUT_OF = {layout.name: layout for layout in LAYOUTS}
_PLURALS = tuple(kind.resource for kind in KINDS)
_CRDS = tuple(f"crd/{plural}.submariner.io" for plural in _PLURALS)
_SERVED = [
    ("submariner.io", "clusters"), ("submariner.io", "endpoints"), ("", "secrets"),
    ("multicluster.x-k8s.io", "*"), ("discovery.k8s.io", "endpointslices"),
]  # fmt: skip
"""What the broker's role lets a member change (submariner-operator, ``config/broker/broker-client``)."""


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """What every member is given to reach the broker."""

    environment: dict[str, str]

    @classmethod
    def of(cls, clusters: Clusters) -> BrokerAccess:
        """Make the broker's namespace and its client in PROD."""
        clusters.apply(PROD, *_broker_objects())
        token = clusters.kubectl(PROD, "-n", BROKER, "create", "token", "cluster", "--duration=6h").strip()
        return cls(
            {
                "BROKER_K8S_APISERVER": f"{_LAYOUT_OF[PROD].address}:6443",
                "BROKER_K8S_APISERVERTOKEN": token,
                "BROKER_K8S_REMOTENAMESPACE": BROKER,
                "BROKER_K8S_CA": base64.b64encode(cluster_authority(clusters, PROD)).decode(),
            }
        )


def _broker_objects() -> Iterator[dict[str, Any]]:
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    meta = {"name": "cluster", "namespace": BROKER}
    rules = [{"apiGroups": [group], "resources": [kind], "verbs": ["*"]} for group, kind in _SERVED]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "cluster"}
    account = {"kind": "ServiceAccount", **meta}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BROKER}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
    yield {**rbac, "kind": "Role", "metadata": meta, "rules": rules}
    yield {**rbac, "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [account]}


def cluster_authority(clusters: Clusters, name: str) -> bytes:
    """The certificate of a cluster's authority, as PEM."""
    told = yaml.safe_load(clusters.kubeconfigs[name].read_text())
    return base64.b64decode(told["clusters"][0]["cluster"]["certificate-authority-data"])


def member_environment(name: str) -> dict[str, str]:
    """What every program of a member reads from its environment."""
    layout: Layout = _LAYOUT_OF[name]
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "SUBMARINER_CLUSTERID": MEMBERS[name],
        "SUBMARINER_NAMESPACE": OPERATOR,
        "SUBMARINER_CLUSTERCIDR": layout.pods,
        "SUBMARINER_SERVICECIDR": layout.services,
    }


def inner_api(name: str) -> dict[str, str]:
    """Where a pod of a cluster is told that the API server is."""
    return {"KUBERNETES_SERVICE_HOST": _LAYOUT_OF[name].address, "KUBERNETES_SERVICE_PORT": "6443"}


def inner_kubeconfig(clusters: Clusters, name: str, folder: Path) -> Path:
    """A kubeconfig that leads to the API server from the network of a node."""
    told = yaml.safe_load(clusters.kubeconfigs[name].read_text())
    told["clusters"][0]["cluster"]["server"] = f"https://{_LAYOUT_OF[name].address}:6443"
    path = folder / f"{name}.inner"
    path.write_text(json.dumps(told))
    return path


@dataclass(frozen=True, slots=True)
class SubmarinerPair:
    """The two gateways, and what they have written."""

    clusters: Clusters
    broker: BrokerAccess
    folder: Path

    def start(self, *, health_check: bool) -> None:
        """Start both gateways; return when each calls its connection connected."""
        for name in MEMBERS:
            settings = member_environment(name) | self.broker.environment
            settings |= {
                "SUBMARINER_CABLEDRIVER": "vxlan",
                "SUBMARINER_HEALTHCHECKENABLED": str(health_check).lower(),
                "SUBMARINER_HEALTHCHECKINTERVAL": "1",
                "SUBMARINER_HEALTHCHECKMAXPACKETLOSSCOUNT": "5",
                "AIR_GAPPED_DEPLOYMENT": "true",
                "NODE_NAME": GATEWAYS[name],
                "POD_NAME": _POD,
            }
            words = (
                "env",
                "-i",
                *(f"{key}={value}" for key, value in settings.items()),
                str(program(GATEWAY)),
            )
            config = inner_kubeconfig(self.clusters, name, self.folder)
            log = self.folder / f"{name}.log"
            self.clusters.start_program(
                GATEWAYS[name], f"gateway of {name}", log, *words, "-kubeconfig", str(config)
            )
        for name in MEMBERS:
            wait_until(
                f"{name}: connected (see {self.folder})",
                partial(self._is_connected, name, health_check=health_check),
                every_s=1,
            )

    def _is_connected(self, name: str, *, health_check: bool) -> bool:
        """Without a measured round trip, connected is only a word; without a health check it stays one."""
        said = [(one["status"], "latencyRTT" in one) for one in self.connections(name)]
        return said == [("connected", health_check)]

    def stop(self) -> None:
        """End both gateways; the tunnels that they made stay, as those of a crashed one do."""
        for name in MEMBERS:
            self.clusters.stop_program(f"gateway of {name}")

    def connections(self, name: str) -> list[dict[str, Any]]:
        """The connections that the gateway of a cluster reports."""
        told = self.clusters.kubectl(name, "-n", OPERATOR, "get", "gateways.submariner.io", "-o", "json")
        return [one for each in json.loads(told)["items"] for one in each["status"]["connections"]]


@contextmanager
def submariner_pair(clusters: Clusters, folder: Path) -> Iterator[SubmarinerPair]:
    """Everything but the programs, which the test starts; afterwards nothing of it is left."""
    if not program(GATEWAY).exists():
        pytest.skip(f"{GATEWAY} is not built: run `make e2e-fabrics`")
    crds = find_crds(_PLURALS)
    try:
        for name in MEMBERS:
            for file in crds:
                clusters.kubectl(name, "apply", "-f", str(file))
            clusters.kubectl(name, "wait", "--for=condition=Established", "--timeout=60s", *_CRDS)
            clusters.apply(name, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR}})
            wait_until(f"{name}: an account for pods", partial(_has_account, clusters, name))
            clusters.apply(name, _gateway_pod(GATEWAYS[name]))
        _close_underlay(clusters)
        pair = SubmarinerPair(clusters, BrokerAccess.of(clusters), folder)
        yield pair
    finally:
        _clean(clusters)


def _has_account(clusters: Clusters, name: str) -> str:
    """A pod is refused until its namespace has one."""
    return clusters.kubectl(name, "-n", OPERATOR, "get", "serviceaccounts", "-o", "name")


def _gateway_pod(node: str) -> dict[str, Any]:
    """The pod of the DaemonSet; the gateway labels it, and runs beside it."""
    container = {"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _POD, "namespace": OPERATOR, "labels": {"app": "submariner-gateway"}},
        "spec": {
            "nodeName": node, "hostNetwork": True, "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }  # fmt: skip


def _close_underlay(clusters: Clusters) -> None:
    """No pod's packet crosses from one segment to the other but in the tunnel."""
    # By segment: frames within one pass this hook too where the machine has br_netfilter.
    rules = (
        "add table inet underlay; add chain inet underlay forward { type filter hook forward priority 0; }"
    )
    for near, far in permutations(LAYOUTS, 2):
        way = f"iifname lan{near.number} oifname lan{far.number}"
        rules += f"; add rule inet underlay forward {way} ip daddr {far.pods} drop"
    clusters.at("router", "nft", rules)
    for node, remote, gateway in _worker_routes():
        clusters.at(node, "ip", "route", "replace", remote, "via", gateway)


def _worker_routes() -> Iterator[tuple[str, str, str]]:
    """By node, without gateways: the remote pods, and its own cluster's gateway on the way there."""
    for near, far in permutations(LAYOUTS, 2):
        gateway, *workers = near.nodes
        yield from ((worker.name, far.pods, gateway.address) for worker in workers)


def _clean(clusters: Clusters) -> None:
    clusters.at("router", "sh", "-c", "nft delete table inet underlay || true")
    for node, remote, _ in _worker_routes():
        clusters.at(node, "sh", "-c", f"ip route del {remote} || true")
    for name, node in GATEWAYS.items():
        gone = "ip link del vxlan-tunnel; ip rule del table 100; ip route flush table 100; true"
        clusters.at(node, "sh", "-c", gone)
        clusters.kubectl(
            name, "delete", "crd", "--ignore-not-found", *(one.removeprefix("crd/") for one in _CRDS)
        )
        clusters.end_namespace(name, OPERATOR)
    clusters.end_namespace(PROD, BROKER)
