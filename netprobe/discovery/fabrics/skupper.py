"""Skupper: services linked through routers on layer 7.

Read from skupper 2.2 (``config/crd/bases``; in no Go module). A site is a namespace. AccessGrants and
AccessTokens are not read: they hold codes that let a site join. ``Operational`` of a Link is a live
connection between two routers, which pods do not use.
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

NAME = "Skupper"
_GROUP = "skupper.io"
LINKS = FabricKind(
    _GROUP,
    "links",
    keeps=(
        *paths_below("spec.endpoints.*", "name", "port"),
        "status.remoteSiteName",
        *paths_below("status.conditions.*", *CONDITION),
    ),
)
LISTENERS = FabricKind(_GROUP, "listeners", keeps=("spec.routingKey",))
CONNECTORS = FabricKind(_GROUP, "connectors", keeps=("spec.routingKey",))
KINDS: tuple[FabricKind, ...] = (LINKS, LISTENERS, CONNECTORS)
_STATES = {"True": ClaimState.UP, "False": ClaimState.DOWN}


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return _GROUP in served


def read(objects: FabricObjects) -> FabricFacts:
    """Links to other sites, and services by their routing keys."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    return FabricFacts(
        NAME,
        links=tuple(_links(objects, notes)),
        services=(
            *_services(objects, LISTENERS, notes, is_exported=False),
            *_services(objects, CONNECTORS, notes, is_exported=True),
        ),
        claims=tuple(_claims(objects, notes)),
        unread=notes.all(),
    )


def _links(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricLink]:
    for one in objects.of(LINKS):
        top = FieldReader.of(one, notes)
        peer = top.below("status").text("remoteSiteName")
        ports = [each.port("port") for each in top.below("spec").items("endpoints")
                 if each.text("name") == "inter-router"]  # fmt: skip
        if peer:
            yield FabricLink("", peer, "skupper", ports[0] if ports else 0, is_routed=False)


def _services(
    objects: FabricObjects, kind: FabricKind, notes: UnreadNotes, *, is_exported: bool
) -> Iterator[FabricService]:
    for one in objects.of(kind):
        key = FieldReader.of(one, notes).below("spec").text("routingKey")
        if key:
            yield FabricService(f"{one.reference.namespace}/{key}", is_exported=is_exported)


def _claims(objects: FabricObjects, notes: UnreadNotes) -> Iterator[Claim]:
    for one in objects.of(LINKS):
        status = FieldReader.of(one, notes).below("status")
        said = status.conditions("conditions").get("Operational")
        peer = status.text("remoteSiteName")
        value = said.text("status", is_needed=True) if said is not None else ""
        if said is not None and peer and (state := _STATES.get(value)) is not None:
            subject = ClaimSubject(SubjectKind.SERVICE_LINK, "", peer)
            yield Claim(
                ClaimKind.SKUPPER_LINK, NAME, one.reference, said.path("status"), value, state, subject,
                said.prose("message"),
            )  # fmt: skip
