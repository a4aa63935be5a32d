"""What fabrics say, in our names: gateways and links for the inventory, and claims for the analysis.

Rules. Pure. A fabric names clusters by its own ids; which cluster of ours each is, that cluster's own objects
say, and where they say nothing a cluster of the same name is taken. An id that two clusters claim
names neither. What a person writes wins over a fabric: a person who names gateways of a cluster, or a link
between two, has said all about them. A fabric's word is checked before it is used: a gateway that is not a
node of its cluster, or a link into a cluster that is not known, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from netprobe.model.fabric import Claim, FabricFacts, FabricGateway, FabricLink, SubjectKind
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName

ASSUMED_MTU = 1280
"""Of a link whose fabric does not name its MTU: the smallest of IPv6 (RFC 8200, section 5). A larger packet
that it drops may be what it was built for, so no larger one is asked."""
_SAME_TIME_NS = 30_000_000_000
"""Of gateways that call themselves active: one that wrote so much earlier than another is dead."""

_ASKED = frozenset({SubjectKind.LINK, SubjectKind.NODE_ROUTE})
"""What packets of ours cross; they say nothing about other subjects."""
Reported = Mapping[ClusterName, tuple[FabricFacts, ...]]
"""By registered cluster what its fabrics say."""


@dataclass(frozen=True, slots=True)
class FabricMembers:
    """Which cluster of ours a fabric means by an id."""

    _names: Mapping[tuple[str, str], ClusterName | None]
    _known: frozenset[str]

    @classmethod
    def of(cls, reported: Reported, known: Iterable[ClusterName]) -> FabricMembers:
        """*known* are all clusters, also those without facts."""
        names: dict[tuple[str, str], ClusterName | None] = {}
        for cluster, fabrics in sorted(reported.items()):
            for facts in fabrics:
                if facts.cluster:
                    key = facts.fabric, facts.cluster
                    names[key] = None if key in names else cluster
        return cls(names, frozenset(known))

    def find(self, fabric: str, cluster: str, reporter: ClusterName) -> ClusterName | None:
        """The cluster that *reporter* means by an id, or None; by an empty one it means itself."""
        if not cluster:
            return reporter
        if (fabric, cluster) in self._names:
            return self._names[fabric, cluster]
        return ClusterName(cluster) if cluster in self._known else None


def add_fabrics(inventory: Inventory, reported: Reported, written: Inventory) -> Inventory:
    """*inventory*, with what fabrics say about its clusters and what *written* leaves open."""
    members = FabricMembers.of(reported, (cluster.name for cluster in inventory.clusters))
    said = tuple(_gateways(reported, members))
    clusters = {
        cluster.name: _with_ranges(_with_gateways(cluster, said, written), reported, members)
        for cluster in inventory.clusters
    }
    return replace(
        inventory,
        clusters=tuple(clusters.values()),
        links=(*inventory.links, *_links(clusters, reported, members, written)),
    )


def find_claims(reported: Reported, known: Iterable[ClusterName]) -> tuple[Claim, ...]:
    """Every claim about what checks can cross, by our names; one about an unknown cluster is left out."""
    members = FabricMembers.of(reported, known)
    return tuple(
        replace(claim, subject=replace(claim.subject, source=source, target=target))
        for reporter, fabrics in reported.items()
        for facts in fabrics
        for claim in facts.claims
        if claim.subject.kind in _ASKED
        and (source := members.find(facts.fabric, claim.subject.source, reporter)) is not None
        and (target := members.find(facts.fabric, claim.subject.target, reporter)) is not None
        and source != target
    )


# --- gateways --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """One fabric's word about a gateway, in a cluster of ours."""

    cluster: ClusterName
    fabric: str
    gateway: FabricGateway
    is_own: bool
    """Whether the gateway's own cluster says it, and not a peer."""


def _gateways(reported: Reported, members: FabricMembers) -> Iterator[_Said]:
    for reporter, facts in _each(reported):
        for gateway in facts.gateways:
            cluster = members.find(facts.fabric, gateway.cluster, reporter)
            if cluster is not None:
                yield _Said(cluster, facts.fabric, gateway, is_own=cluster == reporter)


def _with_gateways(cluster: Cluster, said: tuple[_Said, ...], written: Inventory) -> Cluster:
    """*cluster* with gateways that fabrics name, unless a person names some."""
    by_person = written.find_cluster(cluster.name)
    is_named = by_person is not None and bool(by_person.gateways)
    heard: dict[NodeName, list[_Said]] = {}
    for one in said:
        if one.cluster == cluster.name and (name := find_node(cluster, one.gateway)) is not None:
            heard.setdefault(name, []).append(one)
    latest_ns = max((one.gateway.written_ns or 0 for each in heard.values() for one in each), default=0)
    nodes = (
        _as_gateway(node, heard[node.name], latest_ns, is_named=is_named)
        if node.name in heard and (not is_named or node.role is NodeRole.GATEWAY)
        else node
        for node in cluster.nodes
    )
    return replace(cluster, nodes=tuple(nodes))


def _as_gateway(node: Node, words: list[_Said], latest_ns: int, *, is_named: bool) -> Node:
    """A gateway's own cluster says its role; peers say at which address they reach it."""
    outer = tuple(address for one in sorted(words, key=lambda one: one.is_own)
                  for address in one.gateway.outer_addresses)  # fmt: skip
    outer_addresses = node.outer_addresses or _first_per_family(outer)
    if is_named:
        return replace(node, outer_addresses=outer_addresses)
    own = [one for one in words if one.is_own] or words
    is_active = any(
        one.gateway.is_active
        and (one.gateway.written_ns is None or latest_ns - one.gateway.written_ns <= _SAME_TIME_NS)
        for one in own
    )
    return replace(
        node,
        role=NodeRole.GATEWAY,
        passive=not is_active,
        outer_addresses=outer_addresses,
        known_from=own[0].fabric,
    )


def _first_per_family(addresses: Iterable[str]) -> tuple[str, ...]:
    """The first IPv4 and the first IPv6 address, in that order of appearance."""
    found: dict[bool, str] = {}
    for address in addresses:
        found.setdefault(":" in address, address)
    return tuple(found.values())


def find_node(cluster: Cluster, gateway: FabricGateway) -> NodeName | None:
    """The node that a fabric calls a gateway: by its name, its address, or its name without a domain."""
    for node in cluster.nodes:
        if node.name == gateway.node:
            return node.name
    for node in cluster.nodes:
        if not set(node.host_addresses).isdisjoint(gateway.private_addresses):
            return node.name
    host = gateway.node.partition(".")[0]
    short = [node.name for node in cluster.nodes if host and node.name.partition(".")[0] == host]
    return short[0] if len(short) == 1 else None


# --- links and ranges ------------------------------------------------------------------------


def _links(
    clusters: Mapping[ClusterName, Cluster], reported: Reported, members: FabricMembers, written: Inventory
) -> Iterator[Link]:
    """One link for each fabric and pair of clusters, unless a person has written one between them."""
    seen = set()
    for reporter, facts in _each(reported):
        for link in (one for one in facts.links if one.is_routed):
            ends = (members.find(facts.fabric, end, reporter) for end in (link.source, link.target))
            source, target = (clusters.get(end) if end is not None else None for end in ends)
            if source is None or target is None or source.name == target.name:
                continue
            key = facts.fabric, frozenset((source.name, target.name))
            if key in seen or not source.nodes or not target.nodes:
                continue
            seen.add(key)
            if not written.find_links(source.name, target.name):
                yield _link(link, source, target, facts)


def _each(reported: Reported) -> Iterator[tuple[ClusterName, FabricFacts]]:
    for reporter, fabrics in sorted(reported.items()):
        for facts in fabrics:
            yield reporter, facts


def _link(link: FabricLink, source: Cluster, target: Cluster, facts: FabricFacts) -> Link:
    return Link(
        source.name,
        target.name,
        LinkKind.TUNNEL if link.mechanism else LinkKind.DIRECT,
        link.mechanism,
        source_gateway=_end(source, link.source, link.source_gateway, facts),
        target_gateway=_end(target, link.target, link.target_gateway, facts),
        mtu=link.mtu or ASSUMED_MTU,
        outer_port=link.outer_port,
        is_remapped=link.is_remapped,
        carries_hosts=False,
        known_from=facts.fabric,
    )


def _end(cluster: Cluster, id_: str, name: str, facts: FabricFacts) -> NodeName | None:
    """The node at the end of a link; None for whichever gateway of the cluster is active."""
    named = [gateway for gateway in facts.gateways if (gateway.cluster, gateway.node) == (id_, name)]
    return find_node(cluster, named[0] if named else FabricGateway(id_, name)) if name else None


def _with_ranges(cluster: Cluster, reported: Reported, members: FabricMembers) -> Cluster:
    """Ranges that neither the API nor a person names; remapped ones only fabrics know."""
    for reporter, facts in _each(reported):
        for said in facts.clusters:
            if members.find(facts.fabric, said.id, reporter) == cluster.name:
                cluster = replace(
                    cluster,
                    pod_cidrs=cluster.pod_cidrs or said.pod_cidrs,
                    service_cidrs=cluster.service_cidrs or said.service_cidrs,
                    remapped_cidrs=cluster.remapped_cidrs or said.remapped_cidrs,
                )
    return cluster
