"""Istio: a service mesh; several clusters meet directly or at east-west gateways.

Read from ``istio.io/istio`` 1.31 (``pilot/pkg/serviceregistry``). An east-west gateway is a Service or a
Gateway (Gateway API) with the label of a network. Peers are named in Secrets, which are not read, and only
istiod says whether they are in sync, so there are no links and no claims here.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects, paths_below
from netprobe.model.fabric import FabricFacts, FabricGateway, TrustRoot

NAME = "Istio"
_NETWORK = "topology.istio.io/network"
SERVICES = FabricKind(
    "",
    "services",
    keeps=("status.loadBalancer.ingress.*.ip",),
    labels=frozenset({_NETWORK}),
    selector=_NETWORK,
)
GATEWAYS = FabricKind(
    "gateway.networking.k8s.io", "gateways",
    keeps=("spec.gatewayClassName", *paths_below("status.addresses.*", "type", "value")),
    labels=frozenset({_NETWORK}), selector=_NETWORK,
)  # fmt: skip
ROOT = FabricKind("", "configmaps", keeps=(r"data.root-cert\.pem",), name="istio-ca-root-cert")
KINDS: tuple[FabricKind, ...] = (SERVICES, GATEWAYS, ROOT)
_REMOTE = "istio-remote"
"""A Gateway of this class only refers to one that is elsewhere; its label names the peer's network."""


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "networking.istio.io" in served


def read(objects: FabricObjects) -> FabricFacts:
    """The east-west gateways and the root of trust; nothing where Istio is not installed."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    return FabricFacts(
        NAME,
        gateways=tuple(_gateways(objects, notes)),
        trust_roots=tuple(_trust_roots(objects, notes)),
        unread=notes.all(),
    )


def _gateways(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricGateway]:
    for one in objects.of(SERVICES):
        balancer = FieldReader.of(one, notes).below("status").below("loadBalancer")
        found = tuple(address for each in balancer.items("ingress") for address in each.addresses("ip"))
        if found:
            yield FabricGateway("", "", outer_addresses=found)
    for one in objects.of(GATEWAYS):
        top = FieldReader.of(one, notes)
        each = top.below("status").items("addresses")
        found = tuple(address for said in each if said.text("type") != "Hostname"
                      for address in said.addresses("value"))  # fmt: skip
        if found and top.below("spec").text("gatewayClassName") != _REMOTE:
            yield FabricGateway("", "", outer_addresses=found)


def _trust_roots(objects: FabricObjects, notes: UnreadNotes) -> Iterator[TrustRoot]:
    """Every namespace has a copy; each root is listed once."""
    seen = set()
    for one in objects.of(ROOT):
        for fingerprint in FieldReader.of(one, notes).below("data").fingerprints("root-cert.pem"):
            if fingerprint not in seen:
                seen.add(fingerprint)
                yield TrustRoot(fingerprint, one.reference)
