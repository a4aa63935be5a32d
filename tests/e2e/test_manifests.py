"""Every overlay is rendered by kubectl and taken by a real API server, which admits all and keeps nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster.client import ROOT, Clusters
from tests.e2e.test_clusters import STAGING

MANIFESTS = ROOT / "manifests"
OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
Object = dict[str, Any]
PROFILE = "pod-security.kubernetes.io/enforce"
FOREIGN = {
    "issuers.cert-manager.io": "Issuer",
    "certificates.cert-manager.io": "Certificate",
    "servicemonitors.monitoring.coreos.com": "ServiceMonitor",
    "prometheusrules.monitoring.coreos.com": "PrometheusRule",
}
"""Kinds of others that overlays use."""


def render(overlay: str) -> list[Object]:
    ran = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / "overlays" / overlay)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [found for found in yaml.safe_load_all(ran.stdout) if found]


def definition(name: str, kind: str) -> Object:
    """A kind of somebody else's, as far as an overlay needs it: any spec."""
    plural, _, group = name.partition(".")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


@pytest.fixture(scope="module")
def served(clusters: Clusters) -> Iterator[Clusters]:
    """A cluster with what the overlays' objects stand in."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "netprobe"}}
    closed = {"name": "restricted", "labels": {PROFILE: "restricted"}}
    clusters.apply(STAGING, namespace, {"apiVersion": "v1", "kind": "Namespace", "metadata": closed})
    for name, kind in FOREIGN.items():
        clusters.apply(STAGING, definition(name, kind))
        wait = ("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
        clusters.kubectl(STAGING, *wait)
    yield clusters
    for name in FOREIGN:
        clusters.kubectl(STAGING, "delete", "crd", name)
    clusters.end_namespace(STAGING, "restricted")
    clusters.end_namespace(STAGING, "netprobe")


def try_out(clusters: Clusters, *objects: object) -> str:
    """Let the API server say what it would make of *objects*."""
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    apply = (
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
    )
    return clusters.kubectl(STAGING, *apply, given=given)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_taken_by_the_server(served: Clusters, overlay: str) -> None:
    objects = render(overlay)
    told = try_out(served, *objects)
    assert told.count("serverside-applied") == len(objects)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_says_whose_it_is(overlay: str) -> None:
    for found in render(overlay):
        labels = found["metadata"].get("labels", {})
        assert labels.get("app.kubernetes.io/part-of") == "netprobe", found["metadata"]


def agent_pod(overlay: str, plane: str) -> Object:
    """The pod that a DaemonSet of *overlay* makes, in a namespace of the restricted profile."""
    (found,) = (
        one
        for one in render(overlay)
        if one["kind"] == "DaemonSet" and one["metadata"]["name"] == f"netprobe-agent-{plane}"
    )
    spec = found["spec"]["template"]["spec"] | {"serviceAccountName": "default"}
    del spec["priorityClassName"]  # the class is not there: nothing of the overlays is kept
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "namespace": "restricted"},
        "spec": spec,
    }


def test_an_agent_with_ping_sockets_keeps_the_restricted_profile(served: Clusters) -> None:
    assert "serverside-applied" in try_out(served, agent_pod("spoke", "pod"))


def test_an_agent_with_raw_packets_does_not(served: Clusters) -> None:
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        try_out(served, agent_pod("spoke-net-raw", "pod"))


def test_gitops_examples_name_overlays_and_fields_that_exist() -> None:
    for path in sorted((MANIFESTS / "gitops").rglob("*.yaml")):
        for found in yaml.safe_load_all(path.read_text()):
            for overlay, patches in places_of(found):
                assert Path(ROOT, overlay).is_dir(), path
                (settings,) = (
                    one["data"] for one in render(Path(overlay).name) if one["kind"] == "ConfigMap"
                )
                for operation in yaml.safe_load(patches[0]["patch"]):
                    field = operation["path"].removeprefix("/data/")
                    assert field in settings, (path, field)


def places_of(found: Object) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The overlay that an example installs, and how it patches it."""
    spec = found["spec"]
    if found["kind"] == "ApplicationSet":
        source = spec["template"]["spec"]["source"]
        yield source["path"], source["kustomize"]["patches"]
    elif found["kind"] == "Kustomization":
        yield spec["path"], spec["patches"]
