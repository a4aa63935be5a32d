"""ClusterProfile (SIG-Multicluster's Cluster Inventory): the neutral list that a cluster manager writes.

Read from ``sigs.k8s.io/cluster-inventory-api`` v0.1.2. Credentials are never in it; its extensions, which may
name programs and their arguments, are not read. A missing ControlPlaneHealthy means that it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.cluster_sources.source import ClusterSource, condition_claim
from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import CONDITION, FabricKind, FabricObjects, paths_below
from netprobe.model.declared_cluster import ApiAddress, ApiClaimKind, DeclaredCluster

_TITLE = "ClusterProfile"
_PROVIDERS = ("accessProviders", "credentialProviders")
"""Where access is described; the second one is the older name."""
_ACCESS = (
    "server", "certificate-authority-data", "tls-server-name", "proxy-url", "insecure-skip-tls-verify",
)  # fmt: skip
PROFILES = FabricKind(
    "multicluster.x-k8s.io",
    "clusterprofiles",
    keeps=(
        "spec.clusterManager.name",
        *paths_below("status.conditions.*", *CONDITION, "reason", "lastTransitionTime"),
        *(path for each in _PROVIDERS for path in paths_below(f"status.{each}.*.cluster", *_ACCESS)),
    ),
)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    for one in objects.of(PROFILES):
        status = FieldReader.of(one, notes).below("status")
        healthy = status.conditions("conditions").get("ControlPlaneHealthy")
        claims = tuple(condition_claim(ApiClaimKind.CLUSTERPROFILE_HEALTHY, one, healthy))
        addresses = dict.fromkeys(_addresses(status)) or (read_address(""),)
        for address in addresses:
            yield DeclaredCluster(_TITLE, one.reference.name, address, one.reference, claims)


def _addresses(status: FieldReader) -> Iterator[ApiAddress]:
    for field in _PROVIDERS:
        for provider in status.items(field):
            cluster = provider.below("cluster")
            yield read_address(
                cluster.text("server", most=1024),
                authority=cluster.text("certificate-authority-data", most=65_536),
                tls_name=cluster.text("tls-server-name"),
                is_unverified=cluster.flag("insecure-skip-tls-verify"),
                is_proxied=bool(cluster.text("proxy-url", most=1024)),
            )


SOURCE = ClusterSource("clusterprofile", _TITLE, (PROFILES,), _declared)
