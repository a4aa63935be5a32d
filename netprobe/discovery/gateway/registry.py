"""Every collector, one line each."""

from __future__ import annotations

from netprobe.discovery.gateway import conntrack, ipsec, links, nftables, openvpn, routes, wireguard

COLLECTORS = (
    wireguard.COLLECTOR,
    ipsec.COLLECTOR,
    openvpn.COLLECTOR,
    routes.COLLECTOR,
    links.COLLECTOR,
    conntrack.COLLECTOR,
    nftables.COLLECTOR,
)
