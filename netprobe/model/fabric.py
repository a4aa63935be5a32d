"""What a multi-cluster system (a *fabric*) says of itself in one cluster's objects.

Rules: all of this is claimed, and not what packets showed. Clusters carry the fabric's own ids; which
cluster of ours each is, `discovery.fabric_merge` finds out. Texts are cleaned and bounded when they are read.
No secret is ever held here. Times are wall-clock nanoseconds on the claimant's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ClaimState(StrEnum):
    """What a claim says about its subject."""

    UP = "up"
    DOWN = "down"
    UNVERIFIED = "unverified"
    """Called well, and the object itself shows that nothing measures it."""
    UNKNOWN = "unknown"
    """The claimant says itself that it cannot tell."""

    @property
    def is_well(self) -> bool:
        """Whether people read it as a word that all is well."""
        return self in (ClaimState.UP, ClaimState.UNVERIFIED)


class ClaimKind(StrEnum):
    """Which statement of which system a claim is; `analysis.claims.table` has a row for each."""

    SUBMARINER_CONNECTION = "submariner-connection"
    SUBMARINER_ROUTE_AGENT = "submariner-route-agent"
    LIQO_CONNECTION = "liqo-connection"
    LIQO_FOREIGN_CLUSTER = "liqo-foreign-cluster"
    SKUPPER_LINK = "skupper-link"
    CONSUL_PEERING = "consul-peering"
    MCS_EXPORT = "mcs-export"


class SubjectKind(StrEnum):
    """What a claim is about."""

    LINK = "link"
    """The link between two clusters, in both directions."""
    NODE_ROUTE = "node-route"
    """The way from one node to another cluster."""
    SERVICE_LINK = "service-link"
    """The way by which services of two clusters reach each other through proxies; pods cannot use it."""
    SERVICE = "service"
    """One service; *target* is its ``namespace/name``."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectReference:
    """One object of a cluster's API; the version is that of the server and of no meaning here."""

    group: str
    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ClaimSubject:
    """What a claim is about: *source* and *target* are clusters, an empty one is the object's own."""

    kind: SubjectKind
    source: str
    target: str
    node: str = ""
    """The node of *source* for a `SubjectKind.NODE_ROUTE`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One field of one object that says how something is."""

    kind: ClaimKind
    fabric: str
    object: ObjectReference
    field: str
    value: str
    """As sent, cleaned."""
    state: ClaimState
    subject: ClaimSubject
    message: str = ""
    """What the object says beside it."""
    written_ns: int | None = None
    """When the claimant last wrote the object; None where it does not say."""
    fresh_ns: int | None = None
    """For how long after `written_ns` the claim is its opinion; None where it does not say."""

    def is_stale(self, *, now_ns: int, allowance_ns: int = 0) -> bool:
        """Whether the claimant has stopped writing, so that it claims nothing any more.

        *allowance_ns* is for clocks that differ; a claim of the future is as worthless as an old one.
        """
        if self.written_ns is None or self.fresh_ns is None:
            return False
        return abs(now_ns - self.written_ns) > self.fresh_ns + allowance_ns


@dataclass(frozen=True, slots=True)
class FabricGateway:
    """A node, or an address, that forwards to other clusters."""

    cluster: str
    node: str
    """As the fabric calls it: usually the node's name; empty where it is only an address."""
    is_active: bool = True
    outer_addresses: tuple[str, ...] = ()
    """At which gateways of other clusters reach it, the best first."""
    private_addresses: tuple[str, ...] = ()
    written_ns: int | None = None
    """When it last said so; the object of a dead gateway may stay."""


@dataclass(frozen=True, slots=True)
class FabricLink:
    """What joins two clusters."""

    source: str
    target: str
    mechanism: str = ""
    outer_port: int = 0
    """UDP; 0 if the objects do not name it."""
    mtu: int = 0
    """Largest inner packet in bytes; 0 if the objects do not name it."""
    source_gateway: str = ""
    target_gateway: str = ""
    is_remapped: bool = False
    """Whether pods of one end are reached at other addresses than their own."""
    is_routed: bool = True
    """Whether packets of pods take it; False where only proxies of services do."""


@dataclass(frozen=True, slots=True)
class FabricCluster:
    """A cluster as its fabric describes it."""

    id: str
    pod_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    remapped_cidrs: tuple[str, ...] = ()
    """Ranges at which other clusters reach it in place of its own."""


@dataclass(frozen=True, slots=True)
class RemappedAddress:
    """One address that is seen elsewhere as another one; *original* may be unknown."""

    cluster: str
    seen_as: str
    original: str = ""
    owner: str = ""
    """``namespace/name`` of the service or pod."""


@dataclass(frozen=True, slots=True)
class FabricService:
    """A service that is exported, or imported from the clusters behind it."""

    qualified: str
    """``namespace/name``."""
    is_exported: bool = False
    clusters: tuple[str, ...] = ()
    """The clusters whose endpoints are behind an imported service."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """A root certificate that a fabric trusts, by its SHA-256."""

    fingerprint: str
    object: ObjectReference


@dataclass(frozen=True, slots=True)
class UnreadField:
    """A field, an object or a kind that could not be read, and why."""

    where: str
    """An object, or ``resource.group`` for a whole kind."""
    field: str
    problem: str

    def __str__(self) -> str:
        place = f"{self.where}: {self.field}" if self.field else self.where
        return f"{place}: {self.problem}"


@dataclass(frozen=True, slots=True)
class FabricFacts:
    """Everything one fabric says in one cluster."""

    fabric: str
    cluster: str = ""
    """This cluster's own id in the fabric; empty where its objects do not tell. An empty id elsewhere in
    these facts means this cluster."""
    clusters: tuple[FabricCluster, ...] = ()
    gateways: tuple[FabricGateway, ...] = ()
    links: tuple[FabricLink, ...] = ()
    remapped: tuple[RemappedAddress, ...] = ()
    services: tuple[FabricService, ...] = ()
    trust_roots: tuple[TrustRoot, ...] = ()
    claims: tuple[Claim, ...] = ()
    unread: tuple[UnreadField, ...] = ()
