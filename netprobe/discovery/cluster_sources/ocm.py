"""Open Cluster Management: clusters that a hub has accepted; agents in them dial the hub, not the other way.

Read from ocm v1.2 and its API v1.3. Available turns Unknown when the lease of a cluster's agent is older than
five of its durations: it says that the hub heard the agent, never that its API server answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.cluster_sources.source import ClusterSource, condition_claim
from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import CONDITION, FabricKind, FabricObjects, paths_below
from netprobe.model.declared_cluster import ApiClaimKind, DeclaredCluster

_TITLE = "Open Cluster Management"
CLUSTERS = FabricKind(
    "cluster.open-cluster-management.io",
    "managedclusters",
    keeps=(
        *paths_below("spec.managedClusterClientConfigs.*", "url", "caBundle"),
        *paths_below("status.conditions.*", *CONDITION, "reason", "lastTransitionTime"),
    ),
)
LEASES = FabricKind("coordination.k8s.io", "leases", keeps=("spec.renewTime",), name="managed-cluster-lease")


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    heard = dict(_renewals(objects, notes))
    for one in objects.of(CLUSTERS):
        top = FieldReader.of(one, notes)
        said = top.below("status").conditions("conditions").get("ManagedClusterConditionAvailable")
        heard_ns = heard.get(one.reference.name)
        claims = tuple(condition_claim(ApiClaimKind.OCM_AVAILABLE, one, said, heard_ns=heard_ns))
        configs = top.below("spec").items("managedClusterClientConfigs")
        addresses = dict.fromkeys(
            read_address(each.text("url", most=1024), authority=each.text("caBundle", most=65_536))
            for each in configs
        ) or (read_address(""),)
        for address in addresses:
            yield DeclaredCluster(_TITLE, one.reference.name, address, one.reference, claims)


def _renewals(objects: FabricObjects, notes: UnreadNotes) -> Iterator[tuple[str, int]]:
    """By cluster, whose namespace has its name: when its agent renewed its lease last."""
    for one in objects.of(LEASES):
        renewed_ns = FieldReader.of(one, notes).below("spec").moment_ns("renewTime")
        if renewed_ns is not None:
            yield one.reference.namespace, renewed_ns


SOURCE = ClusterSource("ocm", _TITLE, (CLUSTERS, LEASES), _declared)
