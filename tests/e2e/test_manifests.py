"""Every overlay is rendered by kubectl and taken by a real API server, which admits all and keeps nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import STAGING
from tests.patience import wait_until
from tests.unit.manifests.rendered import OVERLAYS, Object, render

PROFILE = "pod-security.kubernetes.io/enforce"
FOREIGN = {
    "issuers.cert-manager.io": "Issuer",
    "certificates.cert-manager.io": "Certificate",
    "servicemonitors.monitoring.coreos.com": "ServiceMonitor",
    "prometheusrules.monitoring.coreos.com": "PrometheusRule",
}
"""Kinds of others that overlays use."""


def definition(name: str, kind: str) -> Object:
    """A kind of another project, as far as an overlay needs it: any spec."""
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


POLICY = "validatingadmissionpolicies", "validatingadmissionpolicybindings"


@pytest.fixture
def guarded(served: Clusters) -> Iterator[Clusters]:
    """The namespace of netprobe, privileged as it has to be, with our policy in force."""
    found = [one for one in render("spoke") if one["kind"].startswith("ValidatingAdmissionPolicy")]
    meta = {"name": "netprobe", "labels": {PROFILE: "privileged"}}
    served.apply(STAGING, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, *found)
    yield served
    served.kubectl(STAGING, "delete", ",".join(POLICY), "netprobe-agent-pods")


def pod_with(container: Object | None = None, **spec: object) -> Object:
    made = {"name": "c", "image": "netprobe.test/x:1", **(container or {})}
    meta = {"name": "stranger", "namespace": "netprobe"}
    account = {"serviceAccountName": "default", "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [made], **account, **spec},
    }


FORBIDDEN = {
    "only agents of the host plane": pod_with(hostNetwork=True),
    "see the host's processes": pod_with(hostPID=True),
    "mount a path of the host": pod_with(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "no container here may be privileged": pod_with({"securityContext": {"privileged": True}}),
    "add a capability but NET_RAW": pod_with({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
    "no init container here": pod_with(
        initContainers=[{"name": "i", "image": "netprobe.test/x:1", "securityContext": {"privileged": True}}]
    ),
}


def test_the_privileged_namespace_gives_nothing_but_what_the_host_plane_needs(guarded: Clusters) -> None:
    def is_in_force() -> bool:
        try:
            try_out(guarded, pod_with(hostNetwork=True))
        except AssertionError:
            return True
        return False

    wait_until("the policy is in force", is_in_force)
    for told, pod in FORBIDDEN.items():
        with pytest.raises(AssertionError, match=told):
            try_out(guarded, pod)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "netprobe"}}
    for plane in ("pod", "host"):
        name = f"netprobe-agent-{plane}"
        guarded.apply(STAGING, account | {"metadata": {"name": name, "namespace": "netprobe"}})
        for overlay in ("spoke", "spoke-net-raw"):
            agent = agent_pod(overlay, plane)
            agent["metadata"]["namespace"], agent["spec"]["serviceAccountName"] = "netprobe", name
            assert "serverside-applied" in try_out(guarded, agent)


def test_an_agent_with_raw_packets_does_not(served: Clusters) -> None:
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        try_out(served, agent_pod("spoke-net-raw", "pod"))
