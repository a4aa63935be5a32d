"""Multi-Cluster Services: services exported to and imported from other clusters, whichever system moves them.

Read from ``sigs.k8s.io/mcs-api`` v0.5.2 (KEP-1645); both versions have the same shape. The API group also
has the Cluster Inventory and Work APIs, so only its kinds show that services are shared. ``Ready`` means
that an export was taken in, not that another cluster reaches it.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import CONDITION, FabricKind, FabricObjects, paths_below
from netprobe.model.fabric import (
    Claim,
    ClaimKind,
    ClaimState,
    ClaimSubject,
    FabricFacts,
    FabricService,
    SubjectKind,
)

NAME = "MCS API"
GROUP = "multicluster.x-k8s.io"
EXPORTS = FabricKind(GROUP, "serviceexports", keeps=paths_below("status.conditions.*", *CONDITION))
_SOURCE = "lighthouse.submariner.io/sourceNamespace"
"""On what Submariner's lighthouse-agent keeps for its way over the broker: where the service really is
(lighthouse v0.24.0, ``pkg/agent/controller``). What it imports for people has no such mark."""
_MARKS = frozenset({_SOURCE})
IMPORTS = FabricKind(
    GROUP, "serviceimports", keeps=("spec.type", "spec.ips", "status.clusters.*.cluster"),
    annotations=_MARKS, labels=_MARKS,
)  # fmt: skip
KINDS: tuple[FabricKind, ...] = (EXPORTS, IMPORTS)
_STATES = {"True": ClaimState.UNVERIFIED, "False": ClaimState.DOWN}


def is_served(served: frozenset[str]) -> bool:
    """Whether one of its kinds is served; the group alone says nothing."""
    return not served.isdisjoint(map(str, KINDS))


def read(objects: FabricObjects) -> FabricFacts:
    """Exported and imported services; an import without addresses is not a fault."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    return FabricFacts(
        NAME,
        services=(*_exports(objects), *_imports(objects, notes)),
        claims=tuple(_claims(objects, notes)),
        unread=notes.all(),
    )


def _exports(objects: FabricObjects) -> Iterator[FabricService]:
    for one in objects.of(EXPORTS):
        yield FabricService(f"{one.reference.namespace}/{one.reference.name}", is_exported=True)


def _imports(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricService]:
    for one in objects.of(IMPORTS):
        meta = one.metadata
        source = meta.labels.get(_SOURCE) or meta.annotations.get(_SOURCE)
        if source and source != one.reference.namespace:
            continue
        top = FieldReader.of(one, notes)
        behind = (each.text("cluster") for each in top.below("status").items("clusters"))
        yield FabricService(
            f"{one.reference.namespace}/{one.reference.name}",
            clusters=tuple(filter(None, behind)),
            addresses=top.below("spec").addresses("ips"),
        )


def _claims(objects: FabricObjects, notes: UnreadNotes) -> Iterator[Claim]:
    for one in objects.of(EXPORTS):
        said = FieldReader.of(one, notes).below("status").conditions("conditions").get("Ready")
        value = said.text("status", is_needed=True) if said is not None else ""
        if said is not None and (state := _STATES.get(value)) is not None:
            qualified = f"{one.reference.namespace}/{one.reference.name}"
            yield Claim(
                ClaimKind.MCS_EXPORT, NAME, one.reference, said.path("status"), value, state,
                ClaimSubject(SubjectKind.SERVICE, "", qualified), said.prose("message"),
            )  # fmt: skip
