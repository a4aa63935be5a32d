"""What one gateway's readings say about a finding, as statements. Pure: readings are an argument.

Rules: readings are evidence, not truth. Each statement multiplies the finding's odds by a factor that is
written here; a gateway's own status never outweighs packets. Where it says connected and packets do not pass,
the contradiction is shown. Statements from two ends together: `correlation`; their effect: `weighting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from netprobe.model.component import ComponentKind
from netprobe.model.finding import Cause, Finding
from netprobe.model.gateway import (
    ChosenRoute,
    ConnectionTable,
    Fact,
    IpsecRefusals,
    LinkCounters,
    PolicyRules,
    Reading,
    ReversePath,
    RuleCounter,
    TunnelPeer,
)
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose

SPEAKS_FOR = 3.0
"""A gateway's own statement triples the odds, or divides them by three."""
EXACT_COUNT = 9.0
"""A drop rule that counted exactly our packets is as good as two statements."""
_DEAD_AFTER_S = 180
"""Reject-After-Time: a WireGuard session older than this carries nothing (WireGuard paper, section 6.1)."""
_NEARLY_FULL = 0.95
TUNNEL_CAUSES = frozenset({Cause.TUNNEL_DOWN, Cause.RETURN_PATH_DROPPED})
DROP_CAUSES = TUNNEL_CAUSES | {
    Cause.POLICY_DROP, Cause.POLICY_REJECT, Cause.OVERLAY_BLOCKED, Cause.GATEWAY_DOWN
}  # fmt: skip
_OF_GATEWAY = (
    ComponentKind.GATEWAY_IN,
    ComponentKind.GATEWAY_OUT,
    ComponentKind.NODE_IN,
    ComponentKind.NODE_OUT,
)


@dataclass(frozen=True, slots=True)
class GatewayReadings:
    """One gateway, read once, or twice with our packets in between."""

    after: Reading
    before: Reading | None = None
    sent: int | None = None
    """How many packets we sent through it between both readings; None where they were not counted."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a gateway about a finding, and the factor it puts on its odds."""

    text: Prose
    factor: float
    contradicts: bool = False
    """Whether the gateway calls connected what packets do not pass."""


def find_statements(
    finding: Finding, witness: GatewayReadings, *, inventory: Inventory
) -> Iterator[Statement]:
    """What one gateway says about a finding; nothing where it does not stand beside what is broken."""
    here = witness.after.cluster
    far = _far_cluster(finding, here, inventory)
    if far is None and not _concerns(finding, here):
        return
    yield from _about_missing_peer(finding, witness, far)
    for fact in witness.after.facts:
        match fact:
            case TunnelPeer() if far is not None and leads_to(fact, far):
                if finding.cause in TUNNEL_CAUSES:
                    yield from _about_tunnel(finding, witness, fact)
                elif finding.cause is Cause.GATEWAY_DOWN:
                    yield _about_far_gateway(witness, fact, far)
            case LinkCounters():
                yield from _about_link(finding, witness, fact, far=far, inventory=inventory)
            case RuleCounter() if finding.cause in DROP_CAUSES:
                yield from _about_rule(witness, fact)
            case ConnectionTable() if finding.cause is Cause.CONNTRACK_FULL:
                yield from _about_connections(witness, fact)
            case ChosenRoute() if finding.cause is Cause.ROUTE_MISSING:
                factor = SPEAKS_FOR if fact.refused or not fact.interface else 1 / SPEAKS_FOR
                yield Statement(Prose(f"{witness.after.node}: {format_fact(fact)}"), factor)
            case _:
                pass


def _concerns(finding: Finding, here: ClusterName) -> bool:
    return any(here in part.clusters for part in finding.components)


def _far_cluster(finding: Finding, here: ClusterName, inventory: Inventory) -> Cluster | None:
    for part in finding.components:
        if part.kind is ComponentKind.TUNNEL and here in part.clusters:
            (far,) = part.clusters - {here}
            return inventory.find_cluster(far)
        if finding.cause is Cause.GATEWAY_DOWN and part.kind in _OF_GATEWAY:
            there = inventory.find_cluster(part.cluster)
            mine = inventory.find_cluster(here)
            if there and mine and there != mine and inventory.find_links(mine.name, there.name):
                return there
    return None


def leads_to(peer: TunnelPeer, far: Cluster) -> bool:
    """Whether a peer is the gateway of *far*, by its outer address or by what is routed to it."""
    if peer.endpoint and any(peer.endpoint in node.outer_addresses for node in far.nodes):
        return True
    far_ranges = [ip_network(text) for text in far.pod_cidrs or (c for n in far.nodes for c in n.pod_cidrs)]
    ours = [ip_network(text) for text in peer.ranges]
    return any(
        one.version == other.version and one.prefixlen > 0 and one.overlaps(other)
        for one in ours
        for other in far_ranges
    )


def count_bytes(witness: GatewayReadings, peer: TunnelPeer) -> tuple[int, int]:
    """What went into the tunnel to *peer* and came out of it between both readings; 0 where read once."""
    earlier = _same_peer(witness.before, peer)
    if earlier is None:
        return 0, 0
    sent = (peer.sent_bytes or 0) - (earlier.sent_bytes or 0)
    return sent, (peer.received_bytes or 0) - (earlier.received_bytes or 0)


def _is_dead(peer: TunnelPeer) -> bool:
    return peer.mechanism == "wireguard" and (peer.heard_s is None or peer.heard_s > _DEAD_AFTER_S)


def _about_tunnel(finding: Finding, witness: GatewayReadings, peer: TunnelPeer) -> Iterator[Statement]:
    node = witness.after.node
    sent, received = count_bytes(witness, peer)
    if _is_dead(peer):
        yield Statement(Prose(f"{node}: {format_fact(peer)}"), SPEAKS_FOR)
    elif sent > 0 and received == 0:
        yield _about_no_answer(finding, witness, sent)
    elif received > 0 or _heard_since(finding, witness, peer):
        told = f"contradiction: {node} says connected ({format_fact(peer)}), packets say no"
        # A tunnel of which one direction is dropped behind it lives, so that speaks not against this cause.
        factor = 1 if finding.cause is Cause.RETURN_PATH_DROPPED else 1 / SPEAKS_FOR
        yield Statement(Prose(told), factor, contradicts=True)
    else:
        yield Statement(Prose(f"{node}: {format_fact(peer)}, which was before this began"), 1)


def _about_no_answer(finding: Finding, witness: GatewayReadings, sent: int) -> Statement:
    """Bytes went in and none came out. Of a one-way loss only the end that should receive may say so."""
    told = f"{witness.after.node}: {sent:,} bytes went into the tunnel meanwhile, none came back"
    here = witness.after.cluster
    lost_here = any(
        part.kind is ComponentKind.TUNNEL and part.target_cluster == here for part in finding.components
    )
    if finding.cause is Cause.RETURN_PATH_DROPPED and not lost_here:
        return Statement(Prose(f"{told}: more than one direction is dead"), 1 / SPEAKS_FOR)
    return Statement(Prose(told), SPEAKS_FOR)


def _about_far_gateway(witness: GatewayReadings, peer: TunnelPeer, far: Cluster) -> Statement:
    """A neighbour about a gateway that is down; one whose tunnel lives may still forward nothing."""
    sent, received = count_bytes(witness, peer)
    subject = f"{witness.after.node} about {far.name}"
    if _is_dead(peer):
        return Statement(Prose(f"{subject}: {format_fact(peer)}"), SPEAKS_FOR)
    if sent > 0 and received == 0:
        return Statement(
            Prose(f"{subject}: {sent:,} bytes went into the tunnel meanwhile, none came back"), SPEAKS_FOR
        )
    return Statement(Prose(f"{subject}: {format_fact(peer)}"), 1)


def _about_missing_peer(
    finding: Finding, witness: GatewayReadings, far: Cluster | None
) -> Iterator[Statement]:
    """A gateway that has tunnels, but none to there; one that tells of no tunnel at all may not be asked."""
    peers = [fact for fact in witness.after.facts if isinstance(fact, TunnelPeer)]
    # One that names neither its far end nor its ranges might be the one we look for.
    tell = all(peer.endpoint or peer.ranges for peer in peers)
    if far is None or finding.cause not in TUNNEL_CAUSES or not peers or not tell:
        return
    if not any(leads_to(peer, far) for peer in peers):
        yield Statement(
            Prose(f"{witness.after.node}: none of its {len(peers)} tunnels leads to {far.name}"), SPEAKS_FOR
        )


def _heard_since(finding: Finding, witness: GatewayReadings, peer: TunnelPeer) -> bool:
    """Whether the far end proved itself after the finding began; only then it contradicts."""
    if peer.heard_s is None or peer.mechanism != "wireguard":
        return False
    return witness.after.taken_ns - peer.heard_s * 1_000_000_000 > finding.first_seen_ns


def _same_peer(reading: Reading | None, peer: TunnelPeer) -> TunnelPeer | None:
    facts = reading.facts if reading is not None else ()
    peers = (fact for fact in facts if isinstance(fact, TunnelPeer))
    key = (peer.mechanism, peer.interface, peer.ranges)
    return next((one for one in peers if (one.mechanism, one.interface, one.ranges) == key), None)


def _about_link(
    finding: Finding,
    witness: GatewayReadings,
    link: LinkCounters,
    *,
    far: Cluster | None,
    inventory: Inventory,
) -> Iterator[Statement]:
    if far is None:
        return
    peers = (f for f in witness.after.facts if isinstance(f, TunnelPeer) and f.interface == link.interface)
    if not any(leads_to(peer, far) for peer in peers):
        return
    here = inventory.find_cluster(witness.after.cluster)
    meant = [one.mtu for one in inventory.find_links(here.name, far.name)] if here is not None else []
    if finding.cause in TUNNEL_CAUSES and not link.up:
        yield Statement(Prose(f"{witness.after.node}: {link.interface} is down"), SPEAKS_FOR)
    if finding.cause is Cause.TUNNEL_MTU and meant and link.mtu < min(meant):
        told = f"{link.interface} has MTU {link.mtu}, the link is meant to carry {min(meant)}"
        yield Statement(Prose(f"{witness.after.node}: {told}"), SPEAKS_FOR)


def _about_rule(witness: GatewayReadings, rule: RuleCounter) -> Iterator[Statement]:
    moved = count_packets(witness, rule)
    if rule.verdict not in ("drop", "reject") or moved <= 0:
        return
    subject = f"{witness.after.node}: the counter of {rule.verdict} rule {rule.handle} in {rule.place}"
    subject += f" (which also matches by {', '.join(rule.unread)})" if rule.unread else ""
    if moved == witness.sent:
        yield Statement(Prose(f"{subject} moved by exactly our {_packets(moved)}"), EXACT_COUNT)
    else:
        ours = "" if witness.sent is None else f" while we sent {witness.sent}"
        yield Statement(Prose(f"{subject} moved by {_packets(moved)}{ours}"), 1)


def count_packets(witness: GatewayReadings, rule: RuleCounter) -> int:
    """What a rule has counted between both readings; 0 where it was read once only."""
    facts = witness.before.facts if witness.before is not None else ()
    rules = (fact for fact in facts if isinstance(fact, RuleCounter))
    earlier = next((r for r in rules if (r.place, r.handle) == (rule.place, rule.handle)), None)
    return rule.packets - earlier.packets if earlier is not None else 0


def _about_connections(witness: GatewayReadings, table: ConnectionTable) -> Iterator[Statement]:
    earlier = next(
        (f for f in (witness.before.facts if witness.before else ()) if isinstance(f, ConnectionTable)), None
    )
    failed = count_refused(table) - count_refused(earlier) if earlier is not None else 0
    full = table.limit > 0 and table.entries >= _NEARLY_FULL * table.limit
    more = f", and {failed} connections were refused meanwhile" if failed > 0 else ""
    factor = SPEAKS_FOR if full or failed > 0 else 1 / SPEAKS_FOR
    yield Statement(Prose(f"{witness.after.node}: {format_fact(table)}{more}"), factor)


def count_refused(table: ConnectionTable) -> int:
    """Connections that found no place since boot.

    A full table counts them as ``drop`` alone; two packets that race for one entry count as ``drop`` and as
    ``insert_failed`` (nf_conntrack_core.c), so the counters are not added.
    """
    return max(table.insert_failed or 0, table.dropped or 0)


def format_fact(fact: Fact) -> str:
    """One fact as people say it.

    >>> format_fact(TunnelPeer("wireguard", "wg0", "203.0.113.1", (), 840, 0, 0))
    "the tunnel's last handshake was 14 minutes ago"
    """
    match fact:
        case TunnelPeer():
            return _say_peer(fact)
        case ChosenRoute(target, interface, via, refused):
            way = f"is {refused}" if refused else f"leads to {interface or 'nowhere'}"
            return f"the route to {target or 'what was asked'} {way}" + (f" via {via}" if via else "")
        case ReversePath(interface, mode):
            told = f"rp_filter of {interface} is {('off', 'strict', 'loose')[min(mode, 2)]}"
        case PolicyRules(count):
            told = f"{count} routing rules beside the kernel's own"
        case LinkCounters(interface=interface, up=up, mtu=mtu):
            dropped = fact.receive_dropped + fact.send_dropped
            told = f"{interface} is {'up' if up else 'down'}, MTU {mtu}, {_packets(dropped)} dropped"
        case ConnectionTable(entries, limit):
            told = f"the connection table holds {entries:,} of {limit:,}"
        case RuleCounter(place, handle, verdict, packets):
            limits = f", which also matches by {', '.join(fact.unread)}," if fact.unread else ""
            told = f"{verdict or 'counting'} rule {handle} in {place}{limits} counted {_packets(packets)}"
        case IpsecRefusals(packets):
            told = f"IPsec dropped {_packets(packets)} without an association"
    return told


def _say_peer(peer: TunnelPeer) -> str:
    if peer.mechanism == "wireguard":
        age = peer.heard_s
        return (
            "the tunnel never had a handshake"
            if age is None
            else f"the tunnel's last handshake was {_ago(age)}"
        )
    if peer.mechanism == "openvpn":
        if not peer.interface:
            carried = f"{peer.received_bytes or 0:,} bytes in and {peer.sent_bytes or 0:,} out"
            return f"the OpenVPN client has carried {carried}"
        return f"OpenVPN lists client {peer.interface}"
    if peer.heard_s is None:
        return f"security association {peer.interface} is not established, or tells no age"
    return f"security association {peer.interface} was established {_ago(peer.heard_s)}"


def _packets(number: int) -> str:
    return f"{number:,} packet" + ("" if number == 1 else "s")


def _ago(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (unit == "minute" and seconds >= size):
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return f"{seconds} second{'' if seconds == 1 else 's'} ago"
