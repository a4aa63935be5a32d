"""Scripted faults of gateways and of the links between clusters, each kind at two places."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.lab_places import (
    DEV,
    DEV_TO_PROD,
    OUTER,
    PROD,
    PROD_TO_STAGING,
    STAGING,
    STAGING_TO_DEV,
    LabNode,
    LabWay,
    from_network,
    node,
    to_network,
    to_range,
    when,
)
from netprobe.lab.fault_script import HostScript, ScriptedFault, write_chain
from netprobe.model.component import Component, gateway_in, gateway_out, tunnel, underlay
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName
from netprobe.model.traffic import NEW_FLOW, Attribute, TrafficCondition

_STRANGER = "dGhpcyBrZXkgd2FzIG1hZGUgdXAgZm9yIHRoZSBsYWI="
"""A peer's public key (32 bytes) of which no private key is known."""
_MANY_WINDOWS = 25


def gateway_faults() -> Iterator[ScriptedFault]:
    """Every kind, at its first place and at its second."""
    for way in (PROD_TO_STAGING, STAGING_TO_DEV):
        yield from _classes(way)
        yield from _rates(way)
        yield from _tunnels(way)
        yield _ports_used_up(way)
    for way, far in ((PROD_TO_STAGING, node(STAGING, "w1")), (STAGING_TO_DEV, node(DEV, "w1"))):
        yield from _one_node(way, far)
    for way in (PROD_TO_STAGING, DEV_TO_PROD):
        yield from _networks(way)
    yield _uplink(node(STAGING, "gw"), ((STAGING, PROD), (STAGING, DEV)))
    yield _uplink(node(DEV, "gw"), ((DEV, STAGING),))


def _forward(
    kind: str, way: LabWay, rule: str, label: GroundTruth, *, patience: int = 0, is_asked: bool = True
) -> ScriptedFault:
    begin, end = write_chain("forward", f'oifname "{way.out}" {rule}')
    script = HostScript(way.source.host, begin, end)
    return ScriptedFault(kind, way.source.host, (script,), label, is_asked, patience)


def _label(
    way: LabWay, *traffic: TrafficCondition, cause: Cause = Cause.SELECTIVE_DROP, far: LabNode | None = None
) -> GroundTruth:
    alike = (*way.near, *(way.behind(far) if far else ()))
    return GroundTruth(cause, (way.there,), alike, way.beside, traffic)


def _classes(way: LabWay) -> Iterator[ScriptedFault]:
    """One class of traffic is dropped, whatever its addresses."""
    yield _forward(
        "gateway-drops-ipv6", way, "meta nfproto ipv6 drop", _label(way, *when(Attribute.FAMILY, "IPv6"))
    )
    yield _forward(
        "gateway-drops-icmp",
        way,
        "meta l4proto { icmp, ipv6-icmp } drop",
        _label(way, *when(Attribute.PROTOCOL, "icmp")),
    )
    yield _forward(
        "gateway-drops-udp", way, "meta l4proto udp drop", _label(way, *when(Attribute.PROTOCOL, "udp"))
    )
    yield _forward(
        "gateway-drops-tcp", way, "meta l4proto tcp drop", _label(way, *when(Attribute.PROTOCOL, "tcp"))
    )
    new = (*when(Attribute.PROTOCOL, "tcp"), *when(Attribute.FLOW, NEW_FLOW))
    yield _forward("gateway-drops-syn", way, "tcp flags & (syn | ack) == syn drop", _label(way, *new))
    yield _forward(
        "gateway-drops-tcp-data",
        way,
        "tcp flags & psh == psh drop",
        _label(way, *when(Attribute.PROTOCOL, "tcp")),
        is_asked=False,
    )
    yield _forward("gateway-drops-dscp", way, "ip dscp af21 drop", _label(way), is_asked=False)
    begin, end = write_chain(
        "prerouting", 'iifname "eth0" ip frag-off & 0x1fff != 0 drop', priority="-450", name="-fragments"
    )
    yield ScriptedFault(
        "gateway-drops-fragments",
        way.source.host,
        (HostScript(way.source.host, begin, end),),
        _label(way),
        is_asked=False,
    )


def _rates(way: LabWay) -> Iterator[ScriptedFault]:
    """A share is lost: of packets, of large ones, of flows."""
    yield _forward(
        "link-lossy-one-way",
        way,
        "numgen random mod 100 < 30 drop",
        _label(way, cause=Cause.TUNNEL_LOSSY),
        patience=_MANY_WINDOWS,
    )
    yield _forward(
        "gateway-loses-large",
        way,
        "meta length > 1000 numgen random mod 100 < 40 drop",
        _label(way, *when(Attribute.SIZE, "large"), cause=Cause.PART_LOSSY),
        patience=_MANY_WINDOWS,
    )
    yield _forward(
        "gateway-loses-half-the-flows",
        way,
        "jhash ip saddr . ip daddr . th sport . th dport mod 2 seed 0xdeadbeef == 0 drop",
        _label(way, cause=Cause.MEMBER_DOWN),
        patience=_MANY_WINDOWS,
    )


def _one_node(way: LabWay, far: LabNode) -> Iterator[ScriptedFault]:
    """Packets for one node behind the far gateway are dropped or rejected."""
    at_it = to_range(far, "pod")
    sent = from_network(way.source.id.cluster, "pod")
    label = _label(way, *at_it, *sent, far=far)
    yield _forward("gateway-drops-node", way, f"ip daddr {far.pods} drop", label)
    label = _label(way, *at_it, *sent, cause=Cause.POLICY_REJECT, far=far)
    rule = f"ip daddr {far.pod} reject with icmp type admin-prohibited"
    yield _forward("gateway-rejects-node", way, rule, label)


def _networks(way: LabWay) -> Iterator[ScriptedFault]:
    """One range of addresses is dropped: receivers or senders, on the way out or on the way in."""
    source, target = way.source, way.target
    one, other = source.id.cluster, target.id.cluster
    yield _forward(
        "gateway-drops-range",
        way,
        f"ip daddr 10.{100 + target.number}.0.0/16 drop",
        _label(way, *to_network(other, "pod"), *from_network(one, "pod")),
    )
    yield _forward(
        "gateway-drops-hosts",
        way,
        f"ip saddr 10.{source.number}.0.0/24 drop",
        _label(way, *from_network(one, "host"), *to_network(other, "host")),
    )
    begin, end = write_chain(
        "prerouting", f'iifname "{way.into}" ip saddr 10.{100 + source.number}.0.0/16 drop', priority="raw"
    )
    yield ScriptedFault(
        "gateway-drops-source-cluster",
        target.host,
        (HostScript(target.host, begin, end),),
        _label(way, *from_network(one, "pod"), *to_network(other, "pod")),
    )


def _tunnels(way: LabWay) -> Iterator[ScriptedFault]:
    """The tunnel's own settings: a route of its outer address, ranges that another peer was given."""
    gateway = way.source.host
    outer = OUTER[way.target.id.cluster]
    begin, end = write_chain("postrouting", f'oifname "wan0" ip daddr {outer} drop', priority="200")
    route = f"{outer}/32 dev {way.out}"
    below = (underlay(*_ends(way)), underlay(*reversed(_ends(way))))
    yield ScriptedFault(
        "outer-address-in-tunnel",
        gateway,
        (HostScript(gateway, f"ip route add {route}; {begin}", f"{end}; ip route del {route}"),),
        GroundTruth(Cause.TUNNEL_DOWN, (way.there,), below, (way.back,)),
    )
    worker = node(way.source.id.cluster, "w1")
    pods = f"10.{100 + worker.number}.0.0/17,10.{100 + worker.number}.128.0/17"
    cluster_pods = (*from_network(worker.id.cluster, "pod"), *to_network(worker.id.cluster, "pod"))
    own_pods = (
        *to_range(worker, "pod"),
        *when(Attribute.SOURCE_RANGE, f"{worker.id} pod IPv4"),
        *when(Attribute.SOURCE_NODE, worker.id),
    )
    ways = (worker.route_to(way.target.id.cluster), *worker.both, *worker.pod_ways)
    yield _owned_by_stranger("allowed-addresses-without-pods", way, pods, (), cluster_pods)
    yield _owned_by_stranger(
        "allowed-addresses-without-node", way, worker.pods, ways, own_pods + cluster_pods
    )


def _owned_by_stranger(
    kind: str,
    way: LabWay,
    ranges: str,
    ways: tuple[Component, ...],
    traffic: tuple[TrafficCondition, ...],
) -> ScriptedFault:
    """The far gateway neither takes nor sends what another peer owns: both directions of it are lost."""
    peer = f"wg set {way.into} peer {_STRANGER}"
    script = HostScript(way.target.host, f"{peer} allowed-ips {ranges}", f"{peer} remove")
    alike = (*way.near, *way.beside, *ways)
    label = GroundTruth(Cause.SELECTIVE_DROP, (way.there,), alike, traffic=traffic)
    return ScriptedFault(kind, way.target.host, (script,), label)


def _ports_used_up(way: LabWay) -> ScriptedFault:
    begin, end = write_chain(
        "postrouting",
        f'oifname "{way.out}" ip protocol tcp masquerade to :40000-40003',
        priority="90",
        kind="nat",
    )
    label = _label(way, *when(Attribute.PROTOCOL, "tcp"))
    return ScriptedFault(
        "gateway-ports-used-up", way.source.host, (HostScript(way.source.host, begin, end),), label
    )


def _uplink(gateway: LabNode, links: tuple[tuple[ClusterName, ClusterName], ...]) -> ScriptedFault:
    """The gateway's wire to the wide-area network is cut: every tunnel over it is down."""
    begin, end = write_chain("prerouting", 'iifname "wan0" drop', priority="-450")
    also, rest = write_chain("postrouting", 'oifname "wan0" drop', priority="300", name="-out")
    tunnels = tuple(tunnel(*ends) for link in links for ends in (link, link[::-1]))
    clusters = dict.fromkeys((PROD, STAGING, DEV))
    below = tuple(
        underlay(*ends)
        for far in clusters
        if far != gateway.id.cluster
        for ends in ((gateway.id.cluster, far), (far, gateway.id.cluster))
    )
    silent = GroundTruth(Cause.UNKNOWN, below, below)
    # Where every link leads over the uplink, it is the gateway that passes nothing.
    ends = (gateway_out(gateway.id), gateway_in(gateway.id))
    others = (GroundTruth(Cause.GATEWAY_DOWN, ends),) if len(links) > 1 else ()
    label = GroundTruth(Cause.TUNNEL_DOWN, tunnels, (*tunnels, *below), others=others, consequences=(silent,))
    script = HostScript(gateway.host, f"{begin}; {also}", f"{end}; {rest}")
    return ScriptedFault("uplink-cut", gateway.host, (script,), label)


def _ends(way: LabWay) -> tuple[ClusterName, ClusterName]:
    return way.source.id.cluster, way.target.id.cluster
