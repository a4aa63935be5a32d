"""Scripted faults of nodes, of their pods and of the overlay between them, each kind at two places."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.lab_places import DEV, PROD, STAGING, LabNode, node, when
from netprobe.lab.fault_script import HostScript, ScriptedFault, write_chain
from netprobe.model.component import (
    Component,
    dns,
    firewall_rule,
    node_in,
    node_out,
    overlay,
    pod_in,
    pod_out,
)
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName
from netprobe.model.traffic import Attribute, TrafficCondition

_MANY_WINDOWS = 25
_PORT = 9771
"""At which agents answer, over TCP and UDP."""
_POD_PLANE = (*when(Attribute.TARGET_PLANE, "pod"), *when(Attribute.SOURCE_PLANE, "pod"))


def node_faults() -> Iterator[ScriptedFault]:
    """Every kind, at its first place and at its second."""
    for at in (node(PROD, "w2"), node(STAGING, "w1")):
        yield from _forwarding(at)
        yield from _pod_link(at)
        yield _host_closed(at)
    for at in (node(STAGING, "w1"), node(DEV, "w1")):
        yield from _arriving(at)
        yield _solicitation(at)
        yield _loop(at)
        yield from _unasked(at)
    for at in (node(PROD, "w2"), node(DEV, "w1")):
        yield _without_neighbours(at)
    for at, cluster in ((node(PROD, "w1"), STAGING), (node(STAGING, "w1"), DEV)):
        yield _forbidden_to_send(at, cluster)
    for at, other in ((node(PROD, "w1"), node(PROD, "w2")), (node(PROD, "w2"), node(PROD, "gw"))):
        yield from _overlay(at, other)


def _label(
    components: tuple[Component, ...],
    *alike: Component,
    traffic: tuple[TrafficCondition, ...] = (),
    cause: Cause = Cause.SELECTIVE_DROP,
    others: tuple[GroundTruth, ...] = (),
    cut_off: tuple[Component, ...] = (),
) -> GroundTruth:
    """*cut_off* are ways to the bus over the broken part: that no reports arrive is true as well."""
    unheard = tuple(GroundTruth(Cause.AGENT_CUT_OFF, (way,)) for way in cut_off)
    return GroundTruth(cause, components, alike, traffic=traffic, others=others, consequences=unheard)


def _chain(
    kind: str,
    at: LabNode,
    hook: str,
    rule: str,
    label: GroundTruth,
    *,
    priority: str = "filter",
    patience: int = 0,
    is_asked: bool = True,
) -> ScriptedFault:
    begin, end = write_chain(hook, rule, priority=priority)
    return ScriptedFault(kind, at.host, (HostScript(at.host, begin, end),), label, is_asked, patience)


def _forwarding(at: LabNode) -> Iterator[ScriptedFault]:
    """The node answers, and does not forward to or from its pods: at all, one family, one direction."""
    into, out = at.pod_ways
    both = _label(at.both, into, out, traffic=_POD_PLANE, cut_off=at.bus_ways[:1])
    yield _chain("node-forwards-nothing", at, "forward", 'iifname { "eth0", "overlay0", "pod0" } drop', both)
    ipv6 = _label(at.both, into, out, traffic=when(Attribute.FAMILY, "IPv6"))
    yield _chain("node-forwards-no-ipv6", at, "forward", "meta nfproto ipv6 drop", ipv6)
    broken_in = GroundTruth(Cause.UNKNOWN, (into,), (into,))
    only_in = _label((into,), node_in(at.id), traffic=_POD_PLANE, others=(broken_in,))
    yield _chain("node-forwards-not-in", at, "forward", 'oifname "pod0" ct direction original drop', only_in)
    family = when(Attribute.FAMILY, "IPv4")
    setting = "net.ipv4.ip_forward"
    yield ScriptedFault(
        "forwarding-switched-off",
        at.host,
        (HostScript(at.host, f"sysctl -qw {setting}=0", f"sysctl -qw {setting}=1"),),
        _label(at.both, into, out, traffic=(*_POD_PLANE, *family), cut_off=at.bus_ways[:1]),
    )


def _pod_link(at: LabNode) -> Iterator[ScriptedFault]:
    """A share of the packets into the node's pod or out of it is lost."""
    into, out = at.pod_ways
    ways = (("in", "oifname", into, node_in(at.id)), ("out", "iifname", out, node_out(at.id)))
    for name, match, part, alike in ways:
        yield _chain(
            f"pod-link-lossy-{name}",
            at,
            "forward",
            f'{match} "pod0" numgen random mod 100 < 20 drop',
            _label((part,), alike, cause=Cause.PART_LOSSY),
            patience=_MANY_WINDOWS,
        )


def _host_closed(at: LabNode) -> ScriptedFault:
    """The node's own firewall takes only answers for the node itself; its pods are reached."""
    begin, end = write_chain(
        "input", "udp dport 4789 accept", 'iifname { "eth0", "overlay0" } ct direction original drop'
    )
    closed = _label((node_in(at.id),), *at.both, traffic=when(Attribute.TARGET_PLANE, "host"))
    return ScriptedFault("host-takes-only-answers", at.host, (HostScript(at.host, begin, end),), closed)


def _arriving(at: LabNode) -> Iterator[ScriptedFault]:
    """What arrives at the node is dropped by protocol, by flow, by chance, or because no entry is free."""
    into = (node_in(at.id),)
    tcp = when(Attribute.PROTOCOL, "tcp")
    closed_port = GroundTruth(Cause.POLICY_DROP, (firewall_rule(at.id, port=f"tcp/{_PORT}"),))
    rule = f'iifname "eth0" tcp dport {_PORT} drop'
    no_tcp = _label(into, *at.pod_ways, traffic=tcp, others=(closed_port,))
    yield _chain("node-takes-no-tcp", at, "prerouting", rule, no_tcp, priority="raw")
    udp = when(Attribute.PROTOCOL, "udp")
    rule = 'iifname "eth0" meta l4proto udp drop'
    yield _chain("node-takes-no-udp", at, "prerouting", rule, _label(into, traffic=udp), priority="raw")
    rule = f'iifname "eth0" numgen random mod 100 < 20 udp dport {_PORT} drop'
    ports = tuple(firewall_rule(at.id, port=f"{name}/{_PORT}") for name in ("udp", "tcp"))
    lossy = GroundTruth(Cause.PART_LOSSY, into, at.both, ports, udp)
    yield _chain("node-loses-udp", at, "prerouting", rule, lossy, priority="raw", patience=_MANY_WINDOWS)
    rule = (
        'iifname "eth0" meta l4proto { tcp, udp } '
        "jhash ip saddr . ip daddr . th sport . th dport mod 2 seed 0xdeadbeef == 0 "
        f"th dport {_PORT} drop"
    )
    half = GroundTruth(Cause.MEMBER_DOWN, into, (*at.both, *at.pod_ways), ports)
    yield _chain(
        "node-loses-half-the-flows", at, "prerouting", rule, half, priority="raw", patience=_MANY_WINDOWS
    )
    begin, end = write_chain("prerouting", "ct state new drop", priority="-150")
    also, rest = write_chain("output", "ct state new drop", priority="-150", name="-out")
    # The node has the name server of its cluster, which answers no new question either.
    unnamed = GroundTruth(Cause.DNS_DOWN, (dns(at.id.cluster),))
    full = GroundTruth(Cause.CONNTRACK_FULL, (node_out(at.id),), at.both, consequences=(unnamed,))
    yield ScriptedFault(
        "connection-table-full", at.host, (HostScript(at.host, f"{begin}; {also}", f"{end}; {rest}"),), full
    )


def _solicitation(at: LabNode) -> ScriptedFault:
    """The node answers no neighbour solicitation, and its neighbours have forgotten it: IPv6 is lost."""
    rule = 'iifname "eth0" icmpv6 type nd-neighbor-solicit drop'
    begin, end = write_chain("prerouting", rule, priority="raw")
    forgotten = (
        HostScript(at.host, begin, end),
        HostScript(at.gateway.host, "ip -6 neigh flush dev eth0"),
        HostScript(f"{at.id.cluster}/edge", "ip -6 neigh flush dev br0"),
    )
    label = _label((node_in(at.id),), *at.both, traffic=when(Attribute.FAMILY, "IPv6"))
    return ScriptedFault("no-neighbour-solicitation", at.host, forgotten, label)


def _without_neighbours(at: LabNode) -> ScriptedFault:
    """The node takes no ARP: IPv4 from and to it is lost."""
    begin, end = write_chain("input", "iifname eth0 drop", priority="0", family="arp")
    script = HostScript(at.host, f"{begin}; ip neigh flush dev eth0", end)
    label = _label(at.both, *at.both, traffic=when(Attribute.FAMILY, "IPv4"), cut_off=at.bus_ways)
    return ScriptedFault("no-arp", at.host, (script,), label)


def _loop(at: LabNode) -> ScriptedFault:
    """The node sends what is for its pod back to the gateway, which sends it to the node."""
    back = f"{at.pod}/32 via {at.gateway.address} dev eth0 table 52"
    script = HostScript(
        at.host,
        f"ip route add {back}; ip rule add pref 5 lookup 52",
        f"ip rule del pref 5 lookup 52; ip route del {back}",
    )
    label = _label(
        (pod_in(at.id),), *at.both, *at.pod_ways, cause=Cause.ROUTING_LOOP, cut_off=at.bus_ways[:1]
    )
    return ScriptedFault("routing-loop", at.host, (script,), label)


def _unasked(at: LabNode) -> Iterator[ScriptedFault]:
    """No check of the plan asks at a node port here; each answer of a pod comes twice."""
    rule = 'iifname "eth0" tcp dport 30000-32767 drop'
    hidden = _label((node_in(at.id),))
    yield _chain("node-ports-dropped", at, "prerouting", rule, hidden, priority="raw", is_asked=False)
    begin = (
        "nft 'add table netdev made; "
        'add chain netdev made c { type filter hook egress device "pod0" priority 0; policy accept; }; '
        'add rule netdev made c meta protocol ip dup to "pod0"\''
    )
    script = HostScript(at.host, begin, "nft delete table netdev made")
    doubled = _label((pod_in(at.id),), cause=Cause.DUPLICATED)
    yield ScriptedFault("packets-doubled", at.host, (script,), doubled)


def _forbidden_to_send(at: LabNode, cluster: ClusterName) -> ScriptedFault:
    """The sender's own filter forbids it to send to a cluster's nodes: EPERM, no packet leaves."""
    begin, end = write_chain("output", f"ip daddr {node(cluster, 'gw').hosts} drop")
    label = _label(
        (node_out(at.id),), at.route_to(cluster), node_in(at.id), firewall_rule(at.id, port="icmp"),
        traffic=(*when(Attribute.SOURCE_PLANE, "host"), *when(Attribute.TARGET_CLUSTER, cluster)),
    )  # fmt: skip
    return ScriptedFault("node-may-not-send", at.host, (HostScript(at.host, begin, end),), label)


def _overlay(at: LabNode, other: LabNode) -> Iterator[ScriptedFault]:
    """What *at* sends into the overlay: IPv6 lost in part, or everything to one node lost."""
    ways = (overlay(at.id, other.id), *at.pod_ways)
    yield _chain(
        "overlay-loses-ipv6",
        at,
        "postrouting",
        'oifname "overlay0" meta nfproto ipv6 numgen random mod 100 < 50 drop',
        _label(
            (node_out(at.id),),
            pod_out(at.id),
            *ways,
            traffic=when(Attribute.FAMILY, "IPv6"),
            cause=Cause.PART_LOSSY,
        ),
        patience=_MANY_WINDOWS,
    )
    begin, end = write_chain("prerouting", f"ip saddr {at.address} udp dport 4789 drop", priority="raw")
    one_way = GroundTruth(Cause.OVERLAY_BLOCKED, (overlay(at.id, other.id),))
    yield ScriptedFault("overlay-one-way", other.host, (HostScript(other.host, begin, end),), one_way)
