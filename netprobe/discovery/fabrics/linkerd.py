"""Linkerd: services of another cluster mirrored through its gateway.

Read from linkerd2 edge-26.8 (``links.multicluster.linkerd.io``; its CRD is in no Go module). A Link names the
peer, its gateway and the services that are mirrored. Its conditions say that mirroring works, not that the
gateway answers, so there are no claims here. Services reach each other through proxies; pods do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects, paths_below
from netprobe.model.fabric import (
    FabricFacts,
    FabricGateway,
    FabricLink,
    FabricService,
    TrustRoot,
)

NAME = "Linkerd"
LINKS = FabricKind(
    "multicluster.linkerd.io", "links",
    keeps=(
        *paths_below("spec", "targetClusterName", "gatewayAddress", "gatewayPort"),
        *paths_below("status.mirrorServices.*.remoteRef", "name", "namespace"),
        *paths_below("status.federatedServices.*.remoteRef", "name", "namespace"),
    ),
)  # fmt: skip
TRUST_ROOTS = FabricKind(
    "", "configmaps", keeps=(r"data.ca-bundle\.crt",), name="linkerd-identity-trust-roots"
)
KINDS: tuple[FabricKind, ...] = (LINKS, TRUST_ROOTS)
_PORT = 4143


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "multicluster.linkerd.io" in served


def read(objects: FabricObjects) -> FabricFacts:
    """What Linkerd's objects in one cluster say; its own name in the mesh they do not say."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    specs = [FieldReader.of(one, notes) for one in objects.of(LINKS)]
    named = [(top.below("spec").text("targetClusterName", is_needed=True), top) for top in specs]
    links = [(peer, top) for peer, top in named if peer]
    return FabricFacts(
        NAME,
        gateways=tuple(
            FabricGateway(peer, "", outer_addresses=top.below("spec").listed_addresses("gatewayAddress"))
            for peer, top in links
        ),
        links=tuple(
            FabricLink("", peer, "linkerd", top.below("spec").port("gatewayPort") or _PORT, is_routed=False)
            for peer, top in links
        ),
        services=tuple(service for peer, top in links for service in _services(peer, top)),
        trust_roots=tuple(_trust_roots(objects, notes)),
        unread=notes.all(),
    )


def _services(peer: str, top: FieldReader) -> Iterator[FabricService]:
    for name in ("mirrorServices", "federatedServices"):
        for each in top.below("status").items(name):
            remote = each.below("remoteRef")
            service, namespace = remote.text("name"), remote.text("namespace")
            if service and namespace:
                yield FabricService(f"{namespace}/{service}", clusters=(peer,))


def _trust_roots(objects: FabricObjects, notes: UnreadNotes) -> Iterator[TrustRoot]:
    for one in objects.of(TRUST_ROOTS):
        for fingerprint in FieldReader.of(one, notes).below("data").fingerprints("ca-bundle.crt"):
            yield TrustRoot(fingerprint, one.reference)
