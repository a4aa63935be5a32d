"""Objects of every system that keeps a list of clusters, as the types of each describe them.

Rule: each declares one cluster, ``prod``, at `SERVER` with the certificate of `AUTHORITY`, and every place of
an object that holds a secret by design holds `PLANTED`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from tests.unit.discovery.api_server import Served

Json = dict[str, Any]
PLANTED = "planted-secret-7f3a"
SERVER = "https://prod.example.com:6443"
AUTHORITY = b"certificates are read as bytes here, and checked when a server is asked"
PEM = f"-----BEGIN CERTIFICATE-----\n{b64encode(AUTHORITY).decode()}\n-----END CERTIFICATE-----\n"
KEY = f"-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----\n"
FINGERPRINT = sha256(AUTHORITY).hexdigest()
TIME, TIME_NS = "2026-11-29T10:00:00Z", 1_795_946_400_000_000_000
LATER, LATER_NS = "2026-11-29T11:00:00Z", 1_795_950_000_000_000_000
CORE = "/api/v1"
"""Where the server of the tests has the kinds of the core API."""


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


BUNDLE = b64(PEM + KEY)
"""An authority's certificate, with a key beside it that has no business there."""


def meta(name: str, namespace: str = "mgmt", **more: Any) -> Json:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"token": PLANTED})}
    managed = [{"manager": PLANTED, "fieldsV1": {PLANTED: {}}}]
    return {"name": name, "namespace": namespace, "annotations": applied, "managedFields": managed, **more}


def condition(kind: str, status: str = "True", **more: str) -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": "Because",
        "message": "",
        "lastTransitionTime": TIME,
        **more,
    }


def kubeconfig(user: Json | None = None, **cluster: Any) -> str:
    whole = {
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.example.com"}},
            {"name": "c", "cluster": {"server": SERVER, "certificate-authority-data": BUNDLE, **cluster}},
        ],
        "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
        "users": [
            {"name": "u", "user": {"token": PLANTED, "client-key-data": b64(PLANTED), "password": PLANTED,
                                   **(user or {})}},
        ],
    }  # fmt: skip
    return yaml.safe_dump(whole)


@dataclass(frozen=True, slots=True)
class MadeSource:
    """What a server has of one system."""

    resources: dict[str, list[str]]
    items: dict[str, list[Json]]
    objects: dict[str, Json] = field(default_factory=dict)

    def served(self, **more: Any) -> Served:
        return Served(resources=self.resources, items=self.items, objects=self.objects, **more)


def argocd(
    *, server: str = SERVER, health: str = "Healthy", sync: str = "Synced", **config: Any
) -> MadeSource:
    whole = {
        "bearerToken": PLANTED, "username": "u", "password": PLANTED,
        "tlsClientConfig": {"insecure": False, "caData": BUNDLE,
                            "certData": b64(PLANTED), "keyData": b64(PLANTED)},
        **config,
    }  # fmt: skip
    secret = {
        "metadata": meta("cluster-prod", "argocd"),
        "data": {"name": b64("prod"), "server": b64(server), "config": b64(json.dumps(whole)),
                 "unknown": b64(PLANTED)},
    }  # fmt: skip
    application = {
        "metadata": meta("shop", "argocd"),
        "spec": {"destination": {"server": server}, "source": {"helm": {"values": PLANTED}}},
        "status": {"health": {"status": health}, "sync": {"status": sync}, "reconciledAt": LATER},
    }
    return MadeSource(
        {CORE: ["secrets"], "argoproj.io/v1alpha1": ["applications"]},
        {"secrets": [secret], "applications": [application]},
    )


FLUX = "kustomize.toolkit.fluxcd.io/v1"


def flux(*, status: str = "True", user: Json | None = None, key: str = "value", name: str = "prod-kubeconfig",
         **cluster: Any) -> MadeSource:  # fmt: skip
    kustomization = {
        "metadata": meta("shop", "flux-system"),
        "spec": {"kubeConfig": {"secretRef": {"name": name}}, "postBuild": {"substitute": {"x": PLANTED}}},
        "status": {"conditions": [condition("Ready", status)],
                   "history": [{"lastReconciled": TIME}, {"lastReconciled": LATER}]},
    }  # fmt: skip
    own = {"metadata": meta("own", "flux-system"), "spec": {"path": "./"}}
    secret = {"metadata": meta(name, "flux-system"), "data": {key: b64(kubeconfig(user, **cluster))}}
    return MadeSource(
        {FLUX: ["kustomizations"]},
        {"kustomizations": [kustomization, own]},
        {f"{CORE}/namespaces/flux-system/secrets/{name}": secret},
    )


def clusterprofile(*, status: str = "True", server: str = SERVER, **cluster: Any) -> MadeSource:
    access = {
        "server": server, "certificate-authority-data": BUNDLE,
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"args": [PLANTED]}}],
        **cluster,
    }  # fmt: skip
    profile = {
        "metadata": meta("prod", "fleet"),
        "spec": {"displayName": "prod", "clusterManager": {"name": "x"}},
        "status": {"conditions": [condition("ControlPlaneHealthy", status)],
                   "properties": [{"name": "n", "value": PLANTED}],
                   "accessProviders": [{"name": "kubeconfig", "cluster": access}]},
    }  # fmt: skip
    return MadeSource({"multicluster.x-k8s.io/v1alpha1": ["clusterprofiles"]}, {"clusterprofiles": [profile]})


def kubefed(*, status: str = "True", server: str = SERVER, **spec: Any) -> MadeSource:
    cluster = {
        "metadata": meta("prod", "kube-federation-system"),
        "spec": {"apiEndpoint": server, "caBundle": BUNDLE, "secretRef": {"name": PLANTED}, **spec},
        "status": {"conditions": [condition("Ready", status, lastProbeTime=LATER)]},
    }
    return MadeSource({"core.kubefed.io/v1beta1": ["kubefedclusters"]}, {"kubefedclusters": [cluster]})


def karmada(*, status: str = "True", server: str = SERVER, **spec: Any) -> MadeSource:
    cluster = {
        "metadata": meta("prod", ""),
        "spec": {"apiEndpoint": server, "secretRef": {"namespace": "karmada-cluster", "name": "prod"},
                 "proxyHeader": {"Authorization": PLANTED}, **spec},
        "status": {"conditions": [condition("CompleteAPIEnablements"), condition("Ready", status)]},
    }  # fmt: skip
    secret = {
        "metadata": meta("prod", "karmada-cluster"),
        "data": {"caBundle": b64(PEM + KEY), "token": b64(PLANTED)},
    }
    return MadeSource(
        {"cluster.karmada.io/v1alpha1": ["clusters"]},
        {"clusters": [cluster]},
        {f"{CORE}/namespaces/karmada-cluster/secrets/prod": secret},
    )


def ocm(*, status: str = "True", server: str = SERVER, **config: Any) -> MadeSource:
    cluster = {
        "metadata": meta("prod", ""),
        "spec": {"hubAcceptsClient": True,
                 "managedClusterClientConfigs": [{"url": server, "caBundle": BUNDLE, **config}]},
        "status": {"conditions": [condition("ManagedClusterJoined"),
                                  condition("ManagedClusterConditionAvailable", status)],
                   "clusterClaims": [{"name": "x", "value": PLANTED}]},
    }  # fmt: skip
    lease = {
        "metadata": meta("managed-cluster-lease", "prod"),
        "spec": {"renewTime": LATER[:-1] + ".000000Z"},
    }
    return MadeSource(
        {"cluster.open-cluster-management.io/v1": ["managedclusters"], "coordination.k8s.io/v1": ["leases"]},
        {"managedclusters": [cluster], "leases": [lease]},
    )


def istio(user: Json | None = None, **cluster: Any) -> MadeSource:
    secret = {
        "metadata": meta("istio-remote-secret-prod", "istio-system"),
        "data": {"prod": b64(kubeconfig(user, **cluster))},
    }
    return MadeSource({CORE: ["secrets"]}, {"secrets": [secret]})


def admiral(user: Json | None = None, **cluster: Any) -> MadeSource:
    secret = {"metadata": meta("prod", "admiral"), "data": {"prod": b64(kubeconfig(user, **cluster))}}
    return MadeSource({CORE: ["secrets"]}, {"secrets": [secret]})


MADE = {
    "argocd": argocd,
    "flux": flux,
    "clusterprofile": clusterprofile,
    "kubefed": kubefed,
    "karmada": karmada,
    "ocm": ocm,
    "istio": istio,
    "admiral": admiral,
}
"""By the name of a source: what makes its objects."""


def files_that_must_stay_closed(folder: Path) -> Json:
    """A user of a kubeconfig whose credentials are in files, and given by a program that leaves a trace."""
    return {
        "exec": {"command": "touch", "args": [str(folder / "executed"), PLANTED],
                 "env": [{"name": "X", "value": PLANTED}]},
        "auth-provider": {"name": "oidc", "config": {"id-token": PLANTED}},
        "tokenFile": str(folder / "token"), "client-certificate": str(folder / "crt"),
        "client-key": str(folder / "key"),
    }  # fmt: skip
