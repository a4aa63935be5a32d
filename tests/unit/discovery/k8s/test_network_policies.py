"""NetworkPolicies of a cluster, read from its API and judged as manifests are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.errors import InputError
from tests.unit.discovery import api_server as api
from tests.unit.discovery.api_server import (
    Json,
    Served,
    serve,
    write_kubeconfig,
)

WEB: Json = {
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "uid": "1"},
    "spec": {
        "nodeName": "w1",
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 8080}]}],
    },
    "status": {"podIP": "10.0.0.1", "phase": "Running", "conditions": []},
}
DB: Json = {
    "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}},
    "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 5432, "name": "pg"}]}]},
    "status": {"podIP": "10.0.0.2"},
}
POLICY: Json = {
    "metadata": {"name": "absent", "namespace": "shop", "managedFields": []},
    "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]},
}


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server knows this kind, too."""
    monkeypatch.setitem(api.PATHS, "/apis/networking.k8s.io/v1/networkpolicies", "networkpolicies")


async def run(served: Served, tmp_path: Path, *words: str) -> Result:
    async with serve(served):
        kubeconfig = write_kubeconfig(tmp_path / "config", served.url)
        command = ["intent", "from-networkpolicies", "--kubeconfig", str(kubeconfig), *words]
        return await asyncio.to_thread(CliRunner().invoke, cli, command)


def shop(**more: list[Json]) -> Served:
    return Served(items={"pods": [WEB, DB], "namespaces": [{"metadata": {"name": "shop"}}], **more})


async def test_the_policies_of_a_cluster_decide(tmp_path: Path) -> None:
    result = await run(shop(networkpolicies=[POLICY]), tmp_path, "--context", "x", "-o", "table")
    assert result.output == (
        "deny   shop/web → shop/db: tcp/5432\n"
        "       ingress by shop/absent\n"
        "allow  shop/db → shop/web: tcp/8080\n"
        "       no policy applies\n"
    )


async def test_a_policy_that_cannot_be_understood_is_named_with_its_context(tmp_path: Path) -> None:
    odd = {**POLICY, "spec": {"podSelector": {}, "policyTypes": ["Sideways"]}}
    result = await run(shop(networkpolicies=[odd]), tmp_path, "--context", "x")
    assert isinstance(result.exception, InputError)
    assert "/apis/networking.k8s.io/v1/networkpolicies" in str(result.exception)
    assert "Sideways" in str(result.exception)


async def test_either_manifests_or_a_cluster(tmp_path: Path) -> None:
    result = await run(shop(), tmp_path)
    assert str(result.exception) == "give either manifests (-f PATH) or a cluster (--context NAME)"
