"""KubeFed: clusters of a federation. Its project is archived; what it left behind can be read.

Read from kubefed v0.10.0 (``pkg/apis/core/v1beta1``). Ready stays for ever after its controller is gone: only
``lastProbeTime`` tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.cluster_sources.source import ClusterSource, condition_claim
from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import CONDITION, FabricKind, FabricObjects, paths_below
from netprobe.model.declared_cluster import ApiClaimKind, DeclaredCluster

_TITLE = "KubeFed"
CLUSTERS = FabricKind(
    "core.kubefed.io",
    "kubefedclusters",
    keeps=(
        *paths_below("spec", "apiEndpoint", "caBundle", "proxyURL", "disabledTLSValidations"),
        *paths_below("status.conditions.*", *CONDITION, "reason", "lastTransitionTime", "lastProbeTime"),
    ),
)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    for one in objects.of(CLUSTERS):
        top = FieldReader.of(one, notes)
        spec, ready = top.below("spec"), top.below("status").conditions("conditions").get("Ready")
        address = read_address(
            spec.text("apiEndpoint", most=1024),
            authority=spec.text("caBundle", most=65_536),
            is_unverified=bool(spec.texts("disabledTLSValidations")),
            is_proxied=bool(spec.text("proxyURL", most=1024)),
        )
        heard_ns = ready.moment_ns("lastProbeTime") if ready is not None else None
        claims = tuple(condition_claim(ApiClaimKind.KUBEFED_READY, one, ready, heard_ns=heard_ns))
        yield DeclaredCluster(_TITLE, one.reference.name, address, one.reference, claims)


SOURCE = ClusterSource("kubefed", _TITLE, (CLUSTERS,), _declared)
