"""Every collector, one line each."""

from __future__ import annotations

from netprobe.discovery.gateway import conntrack, ipsec, links, nftables, openvpn, routes, wireguard

READERS = (
    wireguard.READER,
    ipsec.READER,
    openvpn.READER,
    routes.READER,
    links.READER,
    conntrack.READER,
    nftables.READER,
)
