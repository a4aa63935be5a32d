"""The clusters that discovery found: a table for people, and ``netprobe/clusters`` for machines.

Rule: clusters that cannot be read are highlighted, and the full error of each is shown below the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType

from netprobe.discovery.fabric_merge import FabricMembers
from netprobe.discovery.k8s.clusters import (
    ReadableCluster,
    Reading,
    UnreadableCluster,
    find_duplicates,
)
from netprobe.model.fabric import Claim, FabricFacts, FabricLink, SubjectKind
from netprobe.model.names import ClusterName
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import count
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import new_table

_LINK_KINDS = frozenset({SubjectKind.LINK, SubjectKind.SERVICE_LINK})
_NOTES = 3
"""Lines about one cluster's fabrics below the table; the document has all."""


def clusters_table(readings: Sequence[Reading]) -> RenderableType:
    """One row per context, then the problems of each."""
    table = new_table(
        "cluster", "version", "nodes", "agents", "fabric", "ranges", right=("agents",), grow="ranges"
    )
    peers = find_peers(readings)
    for reading in readings:
        match reading:
            case ReadableCluster():
                table.add_row(*_row(reading))
            case UnreadableCluster(name=name, place=place):
                cell = _cell(name, place.environment, place.region, place.ordinal)
                table.add_row(cell, Text("✗ unreachable", style="bold red"), "", "", "", "")
    bad = [reading for reading in readings if isinstance(reading, UnreadableCluster)]
    lines: list[RenderableType] = [
        Text(_verdict(readings, len(bad)), style="bold red" if bad else "bold"),
        Text(""),
    ]
    lines.append(table)
    if any(peers.values()):
        lines += [Text(""), _peers_table(peers)]
    notes = [Text(f"✗ {reading.why}", style="red") for reading in bad]
    notes += [Text(note, style="bright_black") for note in _notes(readings)]
    return Group(*lines, *((Text(""), *notes) if notes else ()))


def _verdict(readings: Sequence[Reading], bad: int) -> str:
    total = count(len(readings), "cluster")
    return f"{bad} of {total} cannot be read" if bad else f"{total}, all readable"


def _row(reading: ReadableCluster) -> tuple[RenderableType, ...]:
    facts = reading.facts
    cluster = facts.cluster
    down = len(facts.not_ready)
    nodes = Text(
        f"{len(cluster.nodes)}" + (f", {down} not ready" if down else ""), style="yellow" if down else ""
    )
    ranges = [f"pods {cidr}" for cidr in cluster.pod_cidrs[:3]]
    ranges += [f"and {len(cluster.pod_cidrs) - 3} more"] if len(cluster.pod_cidrs) > 3 else []
    ranges += [f"services {cidr}" for cidr in cluster.service_cidrs]
    return (
        _cell(cluster.name, cluster.environment, cluster.region, facts.ordinal),
        facts.version,
        nodes,
        str(len(facts.agents)),
        "\n".join(reading.facts.fabrics) or "–",
        "\n".join(ranges) or "–",
    )


@dataclass(frozen=True, slots=True)
class PeerLink:
    """What joins a cluster to a peer, as its fabric says."""

    peer: str
    """The name of one of our clusters, else the fabric's id."""
    is_known: bool
    """Whether it is one of the clusters that were read."""
    fabric: str
    link: FabricLink
    claims: tuple[Claim, ...]


def find_peers(readings: Sequence[Reading]) -> dict[ClusterName, tuple[PeerLink, ...]]:
    """By cluster that was read: its peers, as its own fabrics name them."""
    read = [reading for reading in readings if isinstance(reading, ReadableCluster)]
    reported = {reading.facts.cluster.name: reading.fabrics for reading in read}
    members = FabricMembers.of(reported, reported)
    found = {}
    for name, fabrics in reported.items():
        links = []
        for facts in fabrics:
            claims = _claims_by_peer(facts)
            for link in facts.links:
                ours = members.find(facts.fabric, link.target, name)
                said = tuple(claims.get(link.target, ()))
                links.append(PeerLink(ours or link.target, ours in reported, facts.fabric, link, said))
        found[name] = tuple(links)
    return found


def _claims_by_peer(facts: FabricFacts) -> dict[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for claim in facts.claims:
        if claim.subject.kind in _LINK_KINDS:
            found.setdefault(claim.subject.target, []).append(claim)
    return found


def _peers_table(peers: Mapping[ClusterName, tuple[PeerLink, ...]]) -> RenderableType:
    table = new_table("cluster", "peer", "link", "claim", grow="link")
    for name, links in peers.items():
        for number, one in enumerate(links):
            peer = (
                Text(one.peer) if one.is_known else Text(f"{one.peer}\n").append("not read", "bright_black")
            )
            claims = ", ".join(dict.fromkeys(claim.value for claim in one.claims))
            table.add_row("" if number else name, peer, _describe_link(one), claims or "–")
    return table


def _describe_link(one: PeerLink) -> str:
    """The fabric, its mechanism and port, and what is unlike an ordinary tunnel."""
    link = one.link
    mechanism = "" if link.mechanism == one.fabric.lower() else link.mechanism
    parts = [one.fabric, mechanism, f"port {link.outer_port}" if link.outer_port else ""]
    parts += ["remapped"] if link.is_remapped else []
    parts += [] if link.is_routed else ["services only"]
    return " · ".join(filter(None, parts))


def _cell(name: str, environment: str, region: str, ordinal: str) -> Text:
    """The name, and below it the environment, region and number it contains."""
    place = " · ".join(part for part in (environment, region, ordinal) if part)
    return Text(name) if not place else Text(f"{name}\n").append(place, "bright_black")


def _notes(readings: Sequence[Reading]) -> list[str]:
    notes = [f"the same cluster: {', '.join(names)}" for names in find_duplicates(readings)]
    for reading in readings:
        if isinstance(reading, ReadableCluster):
            name = reading.facts.cluster.name
            if reading.facts.unread:
                notes.append(f"{name}: may not list {', '.join(reading.facts.unread)}")
            notes += [f"{name}: {line}" for line in _unread(reading)]
            if reading.facts.virtual_nodes:
                notes.append(f"{name}: {count(reading.facts.virtual_nodes, 'virtual node')} left out")
            if reading.facts.windows_nodes:
                notes.append(f"{name}: {count(reading.facts.windows_nodes, 'Windows node')} left out")
            if reading.context.name != name:
                notes.append(f"{name}: reached by context {reading.context.name}")
    return notes


def _unread(reading: ReadableCluster) -> list[str]:
    """What of its fabrics could not be read: the first lines, and how many more."""
    lines = [f"{facts.fabric}: {one}" for facts in reading.fabrics for one in facts.unread]
    return lines if len(lines) <= _NOTES else [*lines[:_NOTES], f"{len(lines) - _NOTES} more of its fabrics"]


def clusters_document(readings: Sequence[Reading]) -> Document:
    """``netprobe/clusters``: ``clusters[]``, each with its facts or with ``error``."""
    peers = find_peers(readings)
    return {
        "schema": "netprobe/clusters",
        "version": 1,
        "clusters": [_entry(reading, peers) for reading in readings],
        "same": [list(names) for names in find_duplicates(readings)],
    }


def _entry(reading: Reading, peers: Mapping[ClusterName, tuple[PeerLink, ...]]) -> Document:
    place = {"context": reading.context.name, "server": reading.context.server or None}
    match reading:
        case UnreadableCluster(name=name, place=place_hint, why=why):
            return {"name": name, **place, "reachable": False, "error": why,
                    "environment": place_hint.environment or None, "region": place_hint.region or None,
                    "ordinal": place_hint.ordinal or None}  # fmt: skip
        case ReadableCluster(facts=facts):
            cluster = facts.cluster
            return {
                "name": cluster.name, **place, "reachable": True, "error": None,
                "environment": cluster.environment or None, "region": cluster.region or None,
                "ordinal": facts.ordinal or None, "identity": facts.identity or None,
                "kubernetes": facts.version, "fabrics": list(facts.fabrics),
                "pod_cidrs": list(cluster.pod_cidrs), "service_cidrs": list(cluster.service_cidrs),
                "dns_addresses": list(cluster.dns_addresses),
                "nodes": [
                    {"name": node.name, "ready": node.name not in facts.not_ready, "zone": node.zone or None,
                     "host_addresses": list(node.host_addresses), "pod_addresses": list(node.pod_addresses),
                     "pod_cidrs": list(node.pod_cidrs)}
                    for node in cluster.nodes
                ],
                "agents": sorted(map(str, facts.agents)),
                "services": [{"name": found.qualified, "addresses": list(found.addresses), "port": found.port,
                              "endpoints": list(found.endpoints)} for found in cluster.services],
                "namespaces": list(facts.namespaces), "network_policies": list(facts.network_policies),
                "virtual_nodes": facts.virtual_nodes,
                "windows_nodes": facts.windows_nodes, "unread": list(facts.unread),
                "peers": [{"cluster": one.peer, "known": one.is_known, "fabric": one.fabric,
                           "mechanism": one.link.mechanism or None, "remapped": one.link.is_remapped,
                           "routed": one.link.is_routed, "claimed": [claim.value for claim in one.claims]}
                          for one in peers[cluster.name]],
                "fabric_facts": [_fabric(each) for each in reading.fabrics],
            }  # fmt: skip


def _fabric(facts: FabricFacts) -> Document:
    """What one fabric says, under its own ids of clusters."""
    return {
        "fabric": facts.fabric, "cluster": facts.cluster or None,
        "gateways": [{"cluster": one.cluster, "node": one.node, "active": one.is_active,
                      "outer_addresses": list(one.outer_addresses)} for one in facts.gateways],
        "links": [{"source": one.source, "target": one.target, "mechanism": one.mechanism or None,
                   "outer_port": one.outer_port or None, "remapped": one.is_remapped} for one in facts.links],
        "services": [{"name": one.qualified, "exported": one.is_exported, "clusters": list(one.clusters)}
                     for one in facts.services],
        "claims": [{"object": str(one.object), "field": one.field, "value": one.value, "says": one.state,
                    "source": one.subject.source, "target": one.subject.target,
                    "node": one.subject.node or None, "written_ns": one.written_ns} for one in facts.claims],
        "unread": [str(one) for one in facts.unread],
    }  # fmt: skip
