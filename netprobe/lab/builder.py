"""Builds the planned network over netlink: cables, bridges, overlays, addresses, routes and rules.

Rule: only inside the lab's namespaces. Everything is written with *replace*, so that a host whose links were
down can be configured again.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netprobe.errors import SystemRefusedError
from netprobe.lab.namespaces import Namespaces
from netprobe.lab.plan import Cable, LabHost, LabPlan, Route, RoutingRule, Vxlan

_IFA_F_NODAD = 0x02
_NUD_PERMANENT = 0x80
_NTF_SELF = 0x02
_SCOPE_LINK = 253
_IFF_UP = 1


@contextmanager
def netlink(namespaces: Namespaces, host: str) -> Iterator[IPRoute]:
    """A netlink socket inside *host*; errors name the host."""
    with namespaces.of(host).entered():
        socket_ = IPRoute()
    try:
        yield socket_
    except NetlinkError as error:
        raise SystemRefusedError(f"netlink on {host}: {error}") from error
    finally:
        socket_.close()


def build_network(plan: LabPlan, namespaces: Namespaces) -> None:
    """Make every cable, then configure addresses and routes of every host."""
    for cable in plan.cables:
        _make_cable(cable, namespaces)
    for host in plan.hosts:
        with netlink(namespaces, host.name) as ipr:
            _make_devices(ipr, host)
            _raise_links(ipr)
            number_host(ipr, host)


def _make_cable(cable: Cable, namespaces: Namespaces) -> None:
    with netlink(namespaces, cable.one.host) as ipr:
        peer: dict[str, object] = {
            "ifname": cable.other.interface,
            "mtu": cable.mtu,
            "net_ns_fd": namespaces.of(cable.other.host).fd,
        }
        if cable.other.mac:
            peer["address"] = cable.other.mac
        mac = {"address": cable.one.mac} if cable.one.mac else {}
        ipr.link("add", ifname=cable.one.interface, kind="veth", mtu=cable.mtu, peer=peer, **mac)


def find_links(ipr: IPRoute, *, only_up: bool = False) -> dict[str, int]:
    """The interfaces of a host: index by name."""
    return {
        link.get("ifname"): link["index"]
        for link in ipr.get_links()
        if not only_up or link["flags"] & _IFF_UP
    }


def _make_devices(ipr: IPRoute, host: LabHost) -> None:
    links = find_links(ipr)
    for bridge in host.bridges:
        ipr.link("add", ifname=bridge.name, kind="bridge")
        index = ipr.link_lookup(ifname=bridge.name)[0]
        for port in bridge.ports:
            ipr.link("set", index=links[port], master=index)
    for vxlan in host.vxlans:
        _make_vxlan(ipr, vxlan)


def _make_vxlan(ipr: IPRoute, vxlan: Vxlan) -> None:
    ipr.link(
        "add",
        ifname=vxlan.name,
        kind="vxlan",
        vxlan_id=vxlan.vni,
        vxlan_local=vxlan.local,
        vxlan_port=vxlan.port,
        vxlan_learning=False,
        mtu=vxlan.mtu,
        address=vxlan.mac,
    )
    index = ipr.link_lookup(ifname=vxlan.name)[0]
    ipr.link("set", index=index, state="up")
    set_vxlan_peers(ipr, vxlan)


def set_vxlan_peers(ipr: IPRoute, vxlan: Vxlan) -> None:
    """Write the static forwarding and neighbour entries of an overlay, as flannel does."""
    index = ipr.link_lookup(ifname=vxlan.name)[0]
    for peer in vxlan.peers:
        ipr.fdb(
            "replace", ifindex=index, lladdr=peer.mac, dst=peer.outer, flags=_NTF_SELF, state=_NUD_PERMANENT
        )
        for inner in peer.inner:
            ipr.neigh("replace", ifindex=index, dst=inner, lladdr=peer.mac, state=_NUD_PERMANENT)


def _raise_links(ipr: IPRoute) -> None:
    for link in ipr.get_links():
        ipr.link("set", index=link["index"], state="up")


def number_host(ipr: IPRoute, host: LabHost, *, skip: frozenset[str] = frozenset()) -> None:
    """Write a host's addresses, routes and rules, except those of interfaces that do not exist yet.

    Tunnel interfaces are made after the cables, and their routes are written by a second call. *skip* has the
    ranges whose routes are not written (because an active fault removed them).
    """
    links = find_links(ipr, only_up=True)
    for address in host.addresses:
        if address.interface in links:
            text, _, length = address.text.partition("/")
            flags = {"flags": _IFA_F_NODAD} if ":" in text else {}
            ipr.addr("replace", index=links[address.interface], address=text, prefixlen=int(length), **flags)
    for route in host.routes:
        if route.to not in skip and all(name in links for name in route.interfaces):
            write_route(ipr, route, links)
    for rule in host.rules:
        _write_rule(ipr, rule)


def write_route(ipr: IPRoute, route: Route, links: Mapping[str, int], *, command: str = "replace") -> None:
    """Write one route through interfaces of *links*, or remove it with *command* ``del``."""
    settings: dict[str, object] = {"dst": route.to, "table": route.table}
    settings["family"] = socket.AF_INET6 if ":" in route.to else socket.AF_INET
    flags = {"flags": ["onlink"]} if route.onlink else {}
    hops = ((route.interface, route.via), *route.also)
    if route.also:
        settings["multipath"] = [{"oif": links[name], "gateway": via} | flags for name, via in hops]
    else:
        settings |= flags
        settings |= {"type": "blackhole"} if route.is_black_hole else {"oif": links[route.interface]}
        if route.via:
            settings["gateway"] = route.via
        elif not route.is_black_hole:
            settings["scope"] = _SCOPE_LINK
    if route.source:
        settings["prefsrc"] = route.source
    try:
        ipr.route(command, **settings)
    except NetlinkError as error:
        raise SystemRefusedError(f"cannot {command} {route}: {error}") from error


def _write_rule(ipr: IPRoute, rule: RoutingRule) -> None:
    settings: dict[str, object] = {"priority": rule.priority, "table": rule.table}
    settings["family"] = socket.AF_INET6 if rule.family == 6 else socket.AF_INET
    if rule.source:
        settings["src"] = rule.source
    if rule.target:
        settings["dst"] = rule.target
    if rule.interface:
        settings["iifname"] = rule.interface
    try:
        ipr.rule("add", **settings)
    except NetlinkError as error:
        if error.code != 17:  # EEXIST: a host that is configured again has its rules already
            raise
