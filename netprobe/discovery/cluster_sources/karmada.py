"""Karmada: members of a control plane with an API server of its own, which the context has to lead to.

Read from karmada v1.18. Ready is what the control plane, or for Pull an agent in the member, saw of its
``/readyz``. The authority of a member is in a Secret; its token beside it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netprobe.discovery.cluster_sources.api_addresses import decode_text, read_address
from netprobe.discovery.cluster_sources.source import ClusterSource, ReferredObject, condition_claim
from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes, read_certificates
from netprobe.discovery.fabrics.objects import CONDITION, FabricKind, FabricObjects, Json, paths_below
from netprobe.model.declared_cluster import ApiClaimKind, DeclaredCluster

_TITLE = "Karmada"
_AUTHORITY = "certificates"
CLUSTERS = FabricKind(
    "cluster.karmada.io",
    "clusters",
    keeps=(
        *paths_below("spec", "apiEndpoint", "proxyURL", "insecureSkipTLSVerification"),
        *paths_below("spec.secretRef", "namespace", "name"),
        *paths_below("status.conditions.*", *CONDITION, "reason", "lastTransitionTime"),
    ),
)


def _reduce(body: Json) -> Json:
    data = body.get("data")
    bundle = decode_text(data.get("caBundle")) if isinstance(data, dict) else ""
    return {_AUTHORITY: read_certificates(bundle)[0]}


SECRETS = FabricKind("", "secrets", keeps=("data.caBundle",), reduce=_reduce)


def _referred(objects: FabricObjects) -> Iterator[ReferredObject]:
    for one in objects.of(CLUSTERS):
        secret = FieldReader.of(one, UnreadNotes()).below("spec").below("secretRef")
        namespace, name = secret.text("namespace"), secret.text("name")
        if namespace and name:
            yield ReferredObject(SECRETS, namespace, name)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    bundles = {(one.reference.namespace, one.reference.name): one for one in objects.of(SECRETS)}
    for one in objects.of(CLUSTERS):
        top = FieldReader.of(one, notes)
        spec, ready = top.below("spec"), top.below("status").conditions("conditions").get("Ready")
        secret = spec.below("secretRef")
        found = bundles.get((secret.text("namespace"), secret.text("name")))
        certificates = found.body.get(_AUTHORITY) if found is not None else None
        address = read_address(
            spec.text("apiEndpoint", most=1024),
            authorities=certificates if isinstance(certificates, tuple) else (),
            is_unverified=spec.flag("insecureSkipTLSVerification"),
            is_proxied=bool(spec.text("proxyURL", most=1024)),
        )
        if found is None and not (address.problem or address.is_unverified):
            address = replace(address, problem="its CA could not be read")
        claims = tuple(condition_claim(ApiClaimKind.KARMADA_READY, one, ready))
        yield DeclaredCluster(_TITLE, one.reference.name, address, one.reference, claims)


SOURCE = ClusterSource("karmada", _TITLE, (CLUSTERS,), _declared, _referred, (SECRETS,))
