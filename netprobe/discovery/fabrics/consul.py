"""Consul: peerings of a service mesh through mesh gateways.

Read from consul-k8s 2.0 (``config/crd/bases``, MPL-2.0; in no Go module). The name of a peering object is the
peer's. ``Synced`` says that Consul took the object in, never that the peer is reached: its real state is in
Consul's own API, which needs a token of its own.
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
    FabricLink,
    FabricService,
    SubjectKind,
)

NAME = "Consul"
_GROUP = "consul.hashicorp.com"
ACCEPTORS = FabricKind(_GROUP, "peeringacceptors", keeps=paths_below("status.conditions.*", *CONDITION))
DIALERS = FabricKind(_GROUP, "peeringdialers", keeps=paths_below("status.conditions.*", *CONDITION))
EXPORTS = FabricKind(
    _GROUP, "exportedservices", keeps=paths_below("spec.services.*", "name", "namespace", "consumers.*.peer")
)
KINDS: tuple[FabricKind, ...] = (ACCEPTORS, DIALERS, EXPORTS)
_STATES = {"True": ClaimState.UNVERIFIED, "False": ClaimState.DOWN}


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return _GROUP in served


def read(objects: FabricObjects) -> FabricFacts:
    """Peers, what is exported to them, and whether Consul took the peerings in."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    peers = dict.fromkeys(one.reference.name for kind in (ACCEPTORS, DIALERS) for one in objects.of(kind))
    return FabricFacts(
        NAME,
        links=tuple(FabricLink("", peer, "consul", is_routed=False) for peer in peers),
        services=tuple(_services(objects, notes)),
        claims=tuple(_claims(objects, notes)),
        unread=notes.all(),
    )


def _services(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricService]:
    for one in objects.of(EXPORTS):
        for service in FieldReader.of(one, notes).below("spec").items("services"):
            name, namespace = service.text("name", is_needed=True), service.text("namespace") or "default"
            consumers = (each.text("peer") for each in service.items("consumers"))
            if name:
                yield FabricService(
                    f"{namespace}/{name}", is_exported=True, clusters=tuple(filter(None, consumers))
                )


def _claims(objects: FabricObjects, notes: UnreadNotes) -> Iterator[Claim]:
    for kind in (ACCEPTORS, DIALERS):
        for one in objects.of(kind):
            said = FieldReader.of(one, notes).below("status").conditions("conditions").get("Synced")
            value = said.text("status", is_needed=True) if said is not None else ""
            if said is not None and (state := _STATES.get(value)) is not None:
                yield Claim(
                    ClaimKind.CONSUL_PEERING, NAME, one.reference, said.path("status"), value, state,
                    ClaimSubject(SubjectKind.SERVICE_LINK, "", one.reference.name), said.prose("message"),
                )  # fmt: skip
