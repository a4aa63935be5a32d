"""Submariner: IPsec, WireGuard or VXLAN tunnels between gateway nodes.

Read from ``github.com/submariner-io/submariner`` v0.24.0: ``pkg/apis/submariner.io/v1/types.go``,
``deploy/crds``, ``pkg/cableengine/syncer``, ``pkg/port``. The operator's ``submariners`` and
``servicediscoveries`` are not read: they may hold the pre-shared key and the broker's token, and all that
they say of ranges, gateways and drivers these objects say too.

Rules. A dead gateway's object stays and says ``active``; only its time of writing tells. ``connected`` is a
measurement only where a round-trip time is beside it and no message. Address fields exist twice, plural
(dual stack) and singular (deprecated): the plural counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netprobe.discovery.fabrics.fields import FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObject, FabricObjects, paths_below
from netprobe.model.fabric import (
    Claim,
    ClaimKind,
    ClaimState,
    ClaimSubject,
    FabricCluster,
    FabricFacts,
    FabricGateway,
    FabricLink,
    RemappedAddress,
    SubjectKind,
)

NAME = "Submariner"
_GROUP = "submariner.io"
_CABLE = (
    "cluster_id", "hostname", "nat_enabled", "backend", "backend_config.udp-port", "private_ip", "privateIPs",
    "public_ip", "publicIPs",
)  # fmt: skip
_CLAIM = ("status", "statusMessage", "latencyRTT.last", "latencyRTT.average")
GATEWAYS = FabricKind(
    _GROUP, "gateways",
    keeps=(
        "status.haStatus",
        *paths_below("status.localEndpoint", *_CABLE),
        *paths_below("status.connections.*", "usingIP", *_CLAIM),
        *paths_below("status.connections.*.endpoint", *_CABLE),
    ),
    annotations=frozenset({"update-timestamp"}),
)  # fmt: skip
ENDPOINTS = FabricKind(_GROUP, "endpoints", keeps=paths_below("spec", *_CABLE))
CLUSTERS = FabricKind(
    _GROUP, "clusters",
    keeps=("spec.cluster_id", "spec.cluster_cidr", "spec.service_cidr", "spec.global_cidr"),
)  # fmt: skip
ROUTE_AGENTS = FabricKind(
    _GROUP, "routeagents", keeps=paths_below("status.remoteEndpoints.*", "spec.cluster_id", *_CLAIM)
)
GLOBAL_INGRESS = FabricKind(
    _GROUP, "globalingressips",
    keeps=("status.allocatedIP", "spec.serviceRef.name", "spec.podRef.name"),
)  # fmt: skip
GLOBAL_EGRESS = FabricKind(_GROUP, "clusterglobalegressips", keeps=("status.allocatedIPs",))
KINDS: tuple[FabricKind, ...] = (GATEWAYS, ENDPOINTS, CLUSTERS, ROUTE_AGENTS, GLOBAL_INGRESS, GLOBAL_EGRESS)

_FRESH_NS = 15_000_000_000
"""A gateway's object is written every 5 s; another gateway takes it for dead after 15 s."""
_PORT = 4500
"""Of all three drivers, unless ``udp-port`` says otherwise."""
_MECHANISMS = {"libreswan": "ipsec", "wireguard": "wireguard", "vxlan": "vxlan"}
"""Cable driver → what the rest of netprobe calls it."""
_STATES = {"connected": ClaimState.UP, "connecting": ClaimState.DOWN, "error": ClaimState.DOWN}
_SILENT = "none"
"""A connection or route agent that says nothing: normal on gateways and without a health check."""
_UNMEASURED = frozenset({"", "0", "0s"})


@dataclass(frozen=True, slots=True)
class _Cable:
    """One end of tunnels: an Endpoint object, or the copy of one in a gateway's status."""

    cluster: str
    host: str
    mechanism: str
    port: int
    private: tuple[str, ...]
    public: tuple[str, ...]
    is_behind_nat: bool

    @property
    def outer(self) -> tuple[str, ...]:
        """Where peers send to, the more likely ones first."""
        ordered = (*self.public, *self.private) if self.is_behind_nat else (*self.private, *self.public)
        return tuple(dict.fromkeys(ordered))


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return _GROUP in served


def read(objects: FabricObjects) -> FabricFacts:
    """What Submariner's objects in one cluster say."""
    notes = UnreadNotes()
    notes.add_denied(objects)
    gateways = tuple((one, FieldReader.of(one, notes).below("status")) for one in objects.of(GATEWAYS))
    own = _own_cluster(gateways, notes)
    cables = _cables(objects, gateways, notes)
    clusters = tuple(_clusters(objects, notes))
    used = dict(_used_addresses(gateways))
    return FabricFacts(
        fabric=NAME,
        cluster=own,
        clusters=clusters,
        gateways=(*_own_gateways(gateways, own, notes), *_far_gateways(cables, own, used)),
        links=tuple(_links(cables, own, clusters)),
        remapped=tuple(_remapped(objects, own, notes)),
        claims=(*_gateway_claims(gateways, own, notes), *_route_agent_claims(objects, own, notes)),
        unread=notes.all(),
    )


_OpenGateway = tuple[FabricObject, FieldReader]
"""A Gateway object, and a reader of its ``status``."""


def _own_cluster(gateways: tuple[_OpenGateway, ...], notes: UnreadNotes) -> str:
    """This cluster's id: every gateway names it; two that differ name none."""
    ids = {status.below("localEndpoint").text("cluster_id", is_needed=True) for _, status in gateways} - {""}
    if len(ids) > 1:
        notes.add(str(GATEWAYS), "status.localEndpoint.cluster_id", "gateways of one cluster differ in it")
    return ids.pop() if len(ids) == 1 else ""


def _clusters(objects: FabricObjects, notes: UnreadNotes) -> Iterator[FabricCluster]:
    seen = set()
    for one in objects.of(CLUSTERS):
        spec = FieldReader.of(one, notes).below("spec")
        name = spec.text("cluster_id", is_needed=True)
        if name and name not in seen:
            seen.add(name)
            ranges = (spec.ranges(each) for each in ("cluster_cidr", "service_cidr", "global_cidr"))
            yield FabricCluster(name, *ranges)


def _cables(
    objects: FabricObjects, gateways: tuple[_OpenGateway, ...], notes: UnreadNotes
) -> dict[str, _Cable]:
    """The end of tunnels in each cluster: Endpoint objects first, then their copies in active gateways."""
    found: dict[str, _Cable] = {}
    specs = [FieldReader.of(one, notes).below("spec") for one in objects.of(ENDPOINTS)]
    for _, status in gateways:
        if status.text("haStatus") == "active":
            specs.append(status.below("localEndpoint"))
            specs += [connection.below("endpoint") for connection in status.items("connections")]
    for spec in specs:
        if (cable := _cable(spec)) is not None:
            found.setdefault(cable.cluster, cable)
    return found


def _cable(spec: FieldReader) -> _Cable | None:
    cluster, host = spec.text("cluster_id"), spec.text("hostname")
    if not cluster:
        return None
    driver = spec.text("backend", is_needed=True)
    if driver and driver not in _MECHANISMS:
        spec.note("backend", "is a cable driver that we do not know")
    return _Cable(
        cluster,
        host,
        _MECHANISMS.get(driver, driver),
        spec.below("backend_config").port("udp-port") or _PORT,
        spec.addresses("privateIPs", "private_ip"),
        spec.addresses("publicIPs", "public_ip"),
        spec.flag("nat_enabled"),
    )


def _used_addresses(gateways: tuple[_OpenGateway, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """By peer the addresses that an active gateway sends to."""
    found: dict[str, tuple[str, ...]] = {}
    for _, status in gateways:
        for connection in status.items("connections"):
            peer = connection.below("endpoint").text("cluster_id")
            if peer:
                found[peer] = (*found.get(peer, ()), *connection.addresses("usingIP"))
    yield from found.items()


def _own_gateways(
    gateways: tuple[_OpenGateway, ...], own: str, notes: UnreadNotes
) -> Iterator[FabricGateway]:
    for one, status in gateways:
        if one.problem:
            continue
        role = status.text("haStatus", is_needed=True)
        if role not in {"active", "passive"}:
            status.note("haStatus", "is neither active nor passive")
            continue
        cable = _cable(status.below("localEndpoint"))
        yield FabricGateway(
            own,
            (cable.host if cable else "") or one.metadata.name,
            is_active=role == "active",
            outer_addresses=cable.outer if cable else (),
            private_addresses=cable.private if cable else (),
            written_ns=_written_ns(one, notes),
        )


def _far_gateways(
    cables: Mapping[str, _Cable], own: str, used: Mapping[str, tuple[str, ...]]
) -> Iterator[FabricGateway]:
    for name, cable in sorted(cables.items()):
        if name != own:
            outer = tuple(dict.fromkeys((*used.get(name, ()), *cable.outer)))
            yield FabricGateway(name, cable.host, outer_addresses=outer, private_addresses=cable.private)


def _links(
    cables: Mapping[str, _Cable], own: str, clusters: tuple[FabricCluster, ...]
) -> Iterator[FabricLink]:
    """A tunnel from this cluster to every other one; none where this cluster has no end of tunnels."""
    near = cables.get(own)
    remapped = {cluster.id for cluster in clusters if cluster.remapped_cidrs}
    if near is None:
        return
    for name, far in sorted(cables.items()):
        if name != own:
            yield FabricLink(
                own,
                name,
                far.mechanism or near.mechanism,
                outer_port=far.port,
                source_gateway=near.host,
                target_gateway=far.host,
                is_remapped=not remapped.isdisjoint((own, name)),
            )


def _remapped(objects: FabricObjects, own: str, notes: UnreadNotes) -> Iterator[RemappedAddress]:
    for one in objects.of(GLOBAL_INGRESS):
        top = FieldReader.of(one, notes)
        spec, status = top.below("spec"), top.below("status")
        owner = spec.below("serviceRef").text("name") or spec.below("podRef").text("name")
        for address in status.addresses("allocatedIP"):
            yield RemappedAddress(own, address, owner=f"{one.metadata.namespace}/{owner}" if owner else "")
    for one in objects.of(GLOBAL_EGRESS):
        for address in FieldReader.of(one, notes).below("status").addresses("allocatedIPs"):
            yield RemappedAddress(own, address)


def _gateway_claims(gateways: tuple[_OpenGateway, ...], own: str, notes: UnreadNotes) -> Iterator[Claim]:
    for one, status in gateways:
        if status.text("haStatus") != "active":
            continue
        for connection in status.items("connections"):
            peer = connection.below("endpoint").text("cluster_id", is_needed=True)
            subject = ClaimSubject(SubjectKind.LINK, own, peer)
            yield from _claim(
                ClaimKind.SUBMARINER_CONNECTION, one, connection, subject, _written_ns(one, notes)
            )


def _route_agent_claims(objects: FabricObjects, own: str, notes: UnreadNotes) -> Iterator[Claim]:
    for one in objects.of(ROUTE_AGENTS):
        for remote in FieldReader.of(one, notes).below("status").items("remoteEndpoints"):
            peer = remote.below("spec").text("cluster_id", is_needed=True)
            subject = ClaimSubject(SubjectKind.NODE_ROUTE, own, peer, one.metadata.name)
            yield from _claim(ClaimKind.SUBMARINER_ROUTE_AGENT, one, remote, subject, None)


def _claim(
    kind: ClaimKind, one: FabricObject, said: FieldReader, subject: ClaimSubject, written_ns: int | None
) -> Iterator[Claim]:
    value = said.text("status", is_needed=True)
    state = _STATES.get(value)
    if state is None and value not in {"", _SILENT}:
        said.note("status", "is a state that we do not know")
    if state is None or not subject.source or not subject.target:
        return
    message = said.prose("statusMessage")
    rtt = said.below("latencyRTT")
    has_rtt = not {rtt.text("last"), rtt.text("average")} <= _UNMEASURED
    if state is ClaimState.UP and (message or not has_rtt):
        state = ClaimState.UNVERIFIED
    yield Claim(
        kind, NAME, one.reference, said.path("status"), value, state, subject, message, written_ns,
        _FRESH_NS if kind is ClaimKind.SUBMARINER_CONNECTION else None,
    )  # fmt: skip


def _written_ns(one: FabricObject, notes: UnreadNotes) -> int | None:
    """When a gateway wrote its object last (epoch seconds); its own clock."""
    text = one.metadata.annotations.get("update-timestamp", "")
    if text.isascii() and text.isdigit() and len(text) <= len("9999999999"):
        return int(text) * 1_000_000_000
    notes.add(str(one.reference), "metadata.annotations.update-timestamp", "is not a time in seconds")
    return None
