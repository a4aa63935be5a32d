"""Submariner's lighthouse-agent in both clusters: what it writes of exported services and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.real_fabric_runs import RealRun, add_run, forget_runs
from netprobe.discovery.fabrics import mcs
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.fabric_objects import read_fabrics
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.model.fabric import ClaimState, FabricFacts
from tests.e2e.cluster.client import Clusters
from tests.e2e.cluster.fabric_build import LIGHTHOUSE, program
from tests.e2e.fabric_crds import find_folder
from tests.e2e.submariner_pair import (
    BROKER,
    GATEWAYS,
    MEMBERS,
    OPERATOR,
    BrokerAccess,
    cluster_authority,
    inner_api,
    member_environment,
)
from tests.e2e.test_clusters import PROD, STAGING
from tests.patience import wait_until

pytestmark = pytest.mark.timeout(600)
PLURALS = tuple(kind.resource for kind in mcs.KINDS)
SHOP = "shop"
ACCOUNT = "submariner-lighthouse-agent"
SECRETS = "/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its token; each agent has its own there."""
CRDS = tuple(f"{plural}.multicluster.x-k8s.io" for plural in PLURALS)


@pytest.fixture(scope="module")
def sharing(nodes: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Both clusters with the CRDs, a broker in PROD, and an agent each, in the network of a node."""
    if not program(LIGHTHOUSE).exists():
        pytest.skip(f"{LIGHTHOUSE} is not built: run `make e2e-fabrics`")
    folder = tmp_path_factory.mktemp("lighthouse")
    crds = find_folder("MCS API")
    forget_runs(mcs.NAME)
    started: list[str] = []
    try:
        for name in MEMBERS:
            for plural in PLURALS:
                nodes.kubectl(name, "apply", "-f", str(crds / f"multicluster.x-k8s.io_{plural}.yaml"))
            established = [f"crd/{crd}" for crd in CRDS]
            nodes.kubectl(name, "wait", "--for=condition=Established", "--timeout=60s", *established)
            for namespace in (OPERATOR, SHOP):
                nodes.kubectl(name, "create", "namespace", namespace)
        broker = BrokerAccess.of(nodes)
        for name in MEMBERS:
            start_agent(nodes, name, broker, folder)
            started.append(name)
        yield nodes
    finally:
        for name in started:
            nodes.stop_program(f"lighthouse of {name}")
        for name in MEMBERS:
            nodes.kubectl(name, "delete", "clusterrolebinding", ACCOUNT, "--ignore-not-found")
            nodes.kubectl(name, "delete", "crd", "--ignore-not-found", *CRDS)
            nodes.end_namespace(name, OPERATOR)
            nodes.end_namespace(name, SHOP)
        nodes.end_namespace(PROD, BROKER)


def start_agent(nodes: Clusters, name: str, broker: BrokerAccess, folder: Path) -> None:
    """Start the agent with the account of a pod, in the network of a node.

    With a kubeconfig, by the flag that it has for this, it ends at once (findings/lighthouse-kubeconfig.sh).
    """
    secrets = folder / name
    secrets.mkdir()
    nodes.kubectl(name, "-n", OPERATOR, "create", "serviceaccount", ACCOUNT)
    bound = f"--serviceaccount={OPERATOR}:{ACCOUNT}"
    nodes.kubectl(name, "create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", bound)
    (secrets / "token").write_text(nodes.kubectl(name, "-n", OPERATOR, "create", "token", ACCOUNT).strip())
    (secrets / "ca.crt").write_bytes(cluster_authority(nodes, name))
    settings = member_environment(name) | broker.environment | inner_api(name)
    words = [f"{key}={value}" for key, value in settings.items()]
    mounted = f"mkdir -p {SECRETS} && mount --bind {secrets} {SECRETS} && exec {program(LIGHTHOUSE)}"
    start = ("env", "-i", *words, "unshare", "--mount", "sh", "-c", mounted)
    nodes.start_program(GATEWAYS[name], f"lighthouse of {name}", folder / f"{name}.log", *start)


def export(name: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": SHOP}
    return {"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceExport", "metadata": meta}


def service(name: str) -> Iterator[dict[str, Any]]:
    """A service with one pod behind it, as its controller would list it."""
    meta = {"name": name, "namespace": SHOP}
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    spec = {"selector": {"app": name}, "ports": ports}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


async def facts(clusters: Clusters, name: str) -> FabricFacts:
    """What the adapter makes of the objects in a cluster."""
    async with open_api(read_contexts([clusters.kubeconfigs[name]]).choose()[0]) as api:
        (found,) = [one for one in await read_fabrics(api) if one.fabric == mcs.NAME]
    assert found.unread == ()
    return found


def imported(clusters: Clusters, name: str) -> list[dict[str, Any]]:
    told = clusters.kubectl(name, "-n", SHOP, "get", "serviceimports.multicluster.x-k8s.io", "-o", "json")
    items: list[dict[str, Any]] = json.loads(told)["items"]
    return items


def is_ready(clusters: Clusters, name: str) -> bool:
    """Whether the agent of PROD calls an export ready."""
    told = clusters.kubectl(
        PROD, "-n", SHOP, "get", "serviceexports.multicluster.x-k8s.io", name, "-o", "json"
    )
    conditions = json.loads(told).get("status", {}).get("conditions", ())
    return ("Ready", "True") in {(one["type"], one["status"]) for one in conditions}


async def test_an_export_is_read_where_it_is_made_and_where_it_arrives(sharing: Clusters) -> None:
    sharing.apply(PROD, *service("cart"), export("cart"))
    wait_until("the service arrives in the other cluster", lambda: imported(sharing, STAGING), every_s=1)
    wait_until("its export is ready", lambda: is_ready(sharing, "cart"), every_s=1)
    here, there = await facts(sharing, PROD), await facts(sharing, STAGING)
    assert [one.qualified for one in here.services if one.is_exported] == [f"{SHOP}/cart"]
    assert [(one.qualified, one.clusters) for one in there.services] == [(f"{SHOP}/cart", ("east",))]
    # What the agent keeps for its own way over the broker is not imported by this cluster.
    assert {one.qualified for one in here.services} == {f"{SHOP}/cart"}
    (claim,) = here.claims
    assert (claim.state, claim.subject.target) == (ClaimState.UNVERIFIED, f"{SHOP}/cart")
    record("an export arrives")


async def test_an_export_without_a_service_claims_nothing(sharing: Clusters) -> None:
    sharing.apply(PROD, export("nothing"))

    def conditions() -> Any:
        told = sharing.kubectl(
            PROD, "-n", SHOP, "get", "serviceexports.multicluster.x-k8s.io", "nothing", "-o", "json"
        )
        return json.loads(told).get("status", {}).get("conditions")

    found = wait_until("the agent says why", conditions, every_s=1)
    assert ("Valid", "False", "NoService") in {(one["type"], one["status"], one["reason"]) for one in found}
    here = await facts(sharing, PROD)
    assert f"{SHOP}/nothing" in {one.qualified for one in here.services if one.is_exported}
    assert f"{SHOP}/nothing" not in {claim.subject.target for claim in here.claims}
    record("an export of nothing")


def record(case: str) -> None:
    at = program(LIGHTHOUSE)
    add_run(RealRun(mcs.NAME, f"{at.parent.name}/{at.name}", case, is_contradicted=False))
