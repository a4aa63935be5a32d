"""Admiral: clusters whose meshes it joins, as kubeconfigs in Secrets.

Read from admiral 1.4 (``admiral/cmd/admiral/cmd/root.go``), whose flags may name another label and namespace.
Its objects have no status.
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

SECRETS = FabricKind("", "secrets", keeps=("data",), selector="admiral/sync=true", reduce=reduce_kubeconfigs)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    return read_keyed_kubeconfigs("Admiral", SECRETS, objects, notes)


SOURCE = ClusterSource("admiral", "Admiral", (SECRETS,), _declared)
