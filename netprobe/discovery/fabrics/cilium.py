"""Cilium: a CNI whose Cluster Mesh shares services and routes pods directly, node to node.

Read from ``github.com/cilium/cilium`` v1.20: the ConfigMap ``cilium-config`` and the annotations of global
services. Peers are named in Secrets only, which are not read, and only the agent's own API and metrics say
how they are: so there are no links and no claims here.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects
from netprobe.model.fabric import FabricCluster, FabricFacts, FabricService

NAME = "Cilium"
_GLOBAL, _SHARED = "service.cilium.io/global", "service.cilium.io/shared"
CONFIG = FabricKind(
    "", "configmaps", keeps=("data.cluster-name", "data.cluster-id"), name="cilium-config",
)  # fmt: skip
SERVICES = FabricKind(
    "", "services", keeps=("spec.clusterIPs",), annotations=frozenset({_GLOBAL, _SHARED}), is_marked=True
)
KINDS: tuple[FabricKind, ...] = (CONFIG, SERVICES)


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "cilium.io" in served


def read(objects: FabricObjects) -> FabricFacts:
    """The cluster's name in the mesh, and the services that it shares."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    own = ""
    for one in objects.of(CONFIG):
        own = own or FieldReader.of(one, notes).below("data").text("cluster-name", is_needed=True)
    return FabricFacts(
        NAME,
        own,
        clusters=(FabricCluster(own),) if own else (),
        services=tuple(_services(objects, notes)),
        unread=notes.all(),
    )


def _services(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricService]:
    """Global services; ``shared: "false"`` takes what others offer and offers nothing."""
    for one in objects.of(SERVICES):
        said = one.metadata.annotations
        if said.get(_GLOBAL) == "true":
            yield FabricService(
                f"{one.reference.namespace}/{one.reference.name}",
                is_exported=said.get(_SHARED, "true") == "true",
                addresses=FieldReader.of(one, notes).below("spec").addresses("clusterIPs"),
            )
