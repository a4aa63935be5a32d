"""Flux: clusters that a hub delivers to, named by its Kustomizations and HelmReleases.

Read from kustomize-controller v1.9 (``docs/spec/v1``) and helm-controller (``docs/spec/v2``). A Secret with a
kubeconfig, or a ConfigMap with an address, says where the cluster is. Ready says that the last reconciliation
went well, not that the cluster answers now.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.cluster_sources.source import (
    ClusterSource,
    ReferredObject,
    addresses_in,
    condition_claim,
    reduce_kubeconfigs,
)
from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import (
    CONDITION,
    FabricKind,
    FabricObject,
    FabricObjects,
    paths_below,
)
from netprobe.model.declared_cluster import ApiAddress, ApiClaim, ApiClaimKind, DeclaredCluster

_TITLE = "Flux"
_KEYS = ("value", "value.yaml")
"""Of the Secret's data, where a Kustomization names none."""
_KEEPS = (
    *paths_below("spec.kubeConfig", "secretRef.name", "secretRef.key", "configMapRef.name"),
    *paths_below("status.conditions.*", *CONDITION, "reason", "lastTransitionTime"),
    "status.history.*.lastReconciled",
)
KUSTOMIZATIONS = FabricKind("kustomize.toolkit.fluxcd.io", "kustomizations", keeps=_KEEPS)
HELM_RELEASES = FabricKind("helm.toolkit.fluxcd.io", "helmreleases", keeps=_KEEPS)
SECRETS = FabricKind("", "secrets", keeps=("data",), reduce=reduce_kubeconfigs)
CONFIG_MAPS = FabricKind(
    "", "configmaps", keeps=paths_below("data", "address", "cluster", "provider", "ca\\.crt")
)
_CLAIMS = {
    KUSTOMIZATIONS: ApiClaimKind.FLUX_KUSTOMIZATION,
    HELM_RELEASES: ApiClaimKind.FLUX_HELM_RELEASE,
}


def _referred(objects: FabricObjects) -> Iterator[ReferredObject]:
    for kind in _CLAIMS:
        for one in objects.of(kind):
            config = FieldReader.of(one, UnreadNotes()).below("spec").below("kubeConfig")
            for referred, field in ((SECRETS, "secretRef"), (CONFIG_MAPS, "configMapRef")):
                if name := config.below(field).text("name"):
                    yield ReferredObject(referred, one.reference.namespace, name)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    known = {
        (kind, one.reference.namespace, one.reference.name): one
        for kind in (SECRETS, CONFIG_MAPS)
        for one in objects.of(kind)
    }
    for kind, claimed in _CLAIMS.items():
        for one in objects.of(kind):
            top = FieldReader.of(one, notes)
            config = top.below("spec").below("kubeConfig")
            secret, mapped = config.below("secretRef"), config.below("configMapRef").text("name")
            name, claims = secret.text("name"), tuple(_claims(claimed, one, top.below("status")))
            if name:
                found = known.get((SECRETS, one.reference.namespace, name))
                address = _choose(found, secret.text("key"))
            elif mapped:
                found = known.get((CONFIG_MAPS, one.reference.namespace, mapped))
                address = _mapped(found, notes)
            else:
                continue  # it delivers to the cluster in which it is
            called = name.removesuffix("-kubeconfig") or mapped
            yield DeclaredCluster(_TITLE, called, address, (found or one).reference, claims)


def _choose(secret: FabricObject | None, key: str) -> ApiAddress:
    if secret is None:
        return ApiAddress(problem="its Secret could not be read")
    if secret.problem:
        return ApiAddress(problem=f"its Secret {secret.problem}")
    addresses = addresses_in(secret)
    found = next((addresses[each] for each in ((key,) if key else _KEYS) if each in addresses), None)
    return found or ApiAddress(problem="its Secret has no kubeconfig under that key")


def _mapped(one: FabricObject | None, notes: UnreadNotes) -> ApiAddress:
    if one is None:
        return ApiAddress(problem="its ConfigMap could not be read")
    data = FieldReader.of(one, notes).below("data")
    return read_address(data.text("address", most=1024), authority=data.text("ca.crt", most=65_536))


def _claims(kind: ApiClaimKind, one: FabricObject, status: FieldReader) -> Iterator[ApiClaim]:
    heard = [moment for each in status.items("history") if (moment := each.moment_ns("lastReconciled"))]
    ready = status.conditions("conditions").get("Ready")
    return condition_claim(kind, one, ready, heard_ns=max(heard, default=None))


SOURCE = ClusterSource(
    "flux", _TITLE, (KUSTOMIZATIONS, HELM_RELEASES), _declared, _referred, (SECRETS, CONFIG_MAPS)
)
