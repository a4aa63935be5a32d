"""Liqo: WireGuard tunnels between gateway pods, and virtual nodes.

Read from ``github.com/liqotech/liqo`` v1.2.0 (``apis/networking``, ``apis/core``, ``pkg/gateway``).
Identities, Tenants and ResourceSlices are not read: they may hold cloud keys.

Rules. A connection is pinged inside the tunnel from gateway pod to gateway pod: neither nodes nor Geneve are
touched, and with its ping switched off it is ``Connected`` for ever, which a missing latency shows. A peer
whose pod range is mapped to another one here is reached at other addresses than its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import CONDITION, FabricKind, FabricObject, FabricObjects, paths_below
from netprobe.model.fabric import (
    Claim,
    ClaimKind,
    ClaimState,
    ClaimSubject,
    FabricCluster,
    FabricFacts,
    FabricGateway,
    FabricLink,
    SubjectKind,
)

NAME = "Liqo"
_NETWORKING, _PEER = "networking.liqo.io", "liqo.io/remote-cluster-id"
_LABELS = frozenset({_PEER})
OWN_ID = FabricKind("", "configmaps", keeps=("data.CLUSTER_ID",), name="liqo-clusterid-configmap")
FOREIGN_CLUSTERS = FabricKind(
    "core.liqo.io",
    "foreignclusters",
    keeps=("spec.clusterID", *paths_below("status.modules.networking.conditions.*", *CONDITION)),
)
CONNECTIONS = FabricKind(
    _NETWORKING,
    "connections",
    keeps=paths_below("status", "value", "latency.value", "latency.timestamp"),
    labels=_LABELS,
)
SERVERS = FabricKind(
    _NETWORKING, "gatewayservers",
    keeps=(
        "spec.mtu", *paths_below("status.endpoint", "addresses", "port"), "status.internalEndpoint.node"
    ),
    labels=_LABELS,
)  # fmt: skip
CLIENTS = FabricKind(
    _NETWORKING, "gatewayclients",
    keeps=("spec.mtu", *paths_below("spec.endpoint", "addresses", "port"), "status.internalEndpoint.node"),
    labels=_LABELS,
)  # fmt: skip
CONFIGURATIONS = FabricKind(
    _NETWORKING, "configurations", keeps=("spec.remote.cidr.pod", "status.remote.cidr.pod"), labels=_LABELS
)
KINDS: tuple[FabricKind, ...] = (OWN_ID, FOREIGN_CLUSTERS, CONNECTIONS, SERVERS, CLIENTS, CONFIGURATIONS)
_FRESH_NS = 30_000_000_000
"""A connection's latency is written at least every 10 s while it is pinged."""
_STATES = {"Connected": ClaimState.UP, "Connecting": ClaimState.DOWN, "Error": ClaimState.DOWN}
_NETWORK = {
    "Established": ClaimState.UNVERIFIED, "Pending": ClaimState.DOWN, "Error": ClaimState.DOWN,
}  # fmt: skip
"""``NetworkConnectionStatus`` repeats what the Connection says, without a time."""


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "core.liqo.io" in served or _NETWORKING in served


@dataclass(frozen=True, slots=True)
class _Peering:
    """The local gateway of one peer."""

    peer: str
    node: str
    mtu: int
    port: int
    outer: tuple[str, ...]
    """Of a server its own addresses; of a client those of the peer."""
    is_server: bool


def read(objects: FabricObjects) -> FabricFacts:
    """What Liqo's objects in one cluster say."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    own = ""
    for one in objects.of(OWN_ID):
        own = own or FieldReader.of(one, notes).below("data").text("CLUSTER_ID", is_needed=True)
    clusters = tuple(_clusters(objects, notes))
    peerings = (*_peerings(objects, SERVERS, notes), *_peerings(objects, CLIENTS, notes))
    remapped = {cluster.id for cluster in clusters if cluster.remapped_cidrs}
    links = {
        peering.peer: FabricLink(
            own,
            peering.peer,
            "wireguard",
            outer_port=peering.port,
            mtu=peering.mtu,
            source_gateway=peering.node,
            is_remapped=peering.peer in remapped,
        )
        for peering in peerings
    }
    return FabricFacts(
        NAME,
        own,
        clusters=clusters,
        gateways=tuple(_gateways(peerings, own)),
        links=tuple(links.values()),
        claims=(*_connection_claims(objects, own, notes), *_foreign_claims(objects, own, notes)),
        unread=notes.all(),
    )


def _clusters(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricCluster]:
    for one in objects.of(CONFIGURATIONS):
        top, peer = FieldReader.of(one, notes), one.metadata.labels.get(_PEER, "")
        wanted, used = (top.below(part).below("remote").below("cidr") for part in ("spec", "status"))
        pods, seen_as = wanted.ranges("pod"), used.ranges("pod")
        if peer:
            yield FabricCluster(peer, pods, remapped_cidrs=seen_as if seen_as != pods else ())


def _peerings(objects: FabricObjects, kind: FabricKind, notes: UnreadNotes) -> Iterator[_Peering]:
    is_server = kind is SERVERS
    for one in objects.of(kind):
        top, peer = FieldReader.of(one, notes), one.metadata.labels.get(_PEER, "")
        endpoint = top.below("status" if is_server else "spec").below("endpoint")
        if peer and not one.problem:
            yield _Peering(
                peer,
                top.below("status").below("internalEndpoint").text("node"),
                top.below("spec").mtu("mtu"),
                endpoint.port("port"),
                endpoint.addresses("addresses"),
                is_server,
            )


def _gateways(peerings: tuple[_Peering, ...], own: str) -> Iterator[FabricGateway]:
    """The nodes on which gateway pods run, and the addresses at which a client reaches a peer's."""
    for peering in peerings:
        if peering.node:
            yield FabricGateway(own, peering.node, outer_addresses=peering.outer if peering.is_server else ())
        if not peering.is_server and peering.outer:
            yield FabricGateway(peering.peer, "", outer_addresses=peering.outer)


def _connection_claims(objects: FabricObjects, own: str, notes: UnreadNotes) -> Iterator[Claim]:
    for one in objects.of(CONNECTIONS):
        status, peer = FieldReader.of(one, notes).below("status"), one.metadata.labels.get(_PEER, "")
        value = status.text("value", is_needed=True)
        state, latency = _STATES.get(value), status.below("latency")
        if state is ClaimState.UP and not latency.text("value"):
            state = ClaimState.UNVERIFIED
        if value and state is None:
            status.note("value", "is a state that we do not know")
        if state is not None and peer:
            subject, written_ns = ClaimSubject(SubjectKind.LINK, own, peer), latency.moment_ns("timestamp")
            field = status.path("value")
            yield _claim(ClaimKind.LIQO_CONNECTION, one, field, value, state, subject, written_ns)


def _foreign_claims(objects: FabricObjects, own: str, notes: UnreadNotes) -> Iterator[Claim]:
    for one in objects.of(FOREIGN_CLUSTERS):
        top = FieldReader.of(one, notes)
        peer = top.below("spec").text("clusterID", is_needed=True)
        conditions = top.below("status").below("modules").below("networking").conditions("conditions")
        said = conditions.get("NetworkConnectionStatus")
        value = said.text("status", is_needed=True) if said is not None else ""
        if said is not None and peer and (state := _NETWORK.get(value)) is not None:
            subject, field = ClaimSubject(SubjectKind.LINK, own, peer), said.path("status")
            yield _claim(ClaimKind.LIQO_FOREIGN_CLUSTER, one, field, value, state, subject, None)


def _claim(
    kind: ClaimKind, one: FabricObject, field: str, value: str, state: ClaimState, subject: ClaimSubject,
    written_ns: int | None,
) -> Claim:  # fmt: skip
    return Claim(
        kind, NAME, one.reference, field, value, state, subject, written_ns=written_ns,
        fresh_ns=_FRESH_NS if written_ns is not None and state is ClaimState.UP else None,
    )  # fmt: skip
