"""Istio: clusters whose API servers istiod reads, as kubeconfigs in Secrets.

Read from istio 1.31 (``pkg/kube/multicluster``): the keys of a Secret's data are the names of clusters, and
one Secret may hold several. Whether istiod reads them is in its own debug interface and not in the API.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.cluster_sources.source import (
    ClusterSource,
    read_keyed_kubeconfigs,
    reduce_kubeconfigs,
)
from netprobe.discovery.fabrics.fields import UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects
from netprobe.model.declared_cluster import DeclaredCluster

SECRETS = FabricKind(
    "", "secrets", keeps=("data",), selector="istio/multiCluster=true", reduce=reduce_kubeconfigs
)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    return read_keyed_kubeconfigs("Istio", SECRETS, objects, notes)


SOURCE = ClusterSource("istio", "Istio", (SECRETS,), _declared)
