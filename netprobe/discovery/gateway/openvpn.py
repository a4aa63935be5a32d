"""OpenVPN: a server's status file, version 1, 2 or 3 (openvpn(8), ``--status-version``), or a client's.

A client names neither its server nor what lies behind it, only what it carried.

OpenVPN 2.7 writes the protocol before a client's address (``udp4:203.0.113.2:1194``), 2.6 does not. Version
1, which is OpenVPN's own default, lists a client's addresses in its routing table alone. Where the kernel
carries the packets (DCO), no TUN/TAP counter moves: then the bytes of the outer packets are shown.

The file is rewritten every minute by default; ``heard_s`` is the age that it shows for itself where it is of
a version that tells both times as numbers, else None.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from netprobe.discovery.gateway.interface import (
    AddressPair,
    GatewayReader,
    Printed,
    address,
    count,
    lines,
    name,
)
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.gateway import Fact, TunnelPeer

_Range = ipaddress.IPv4Network | ipaddress.IPv6Network
_CLIENT_FIELDS = 9
_V1_FIELDS = 5
_PROTOCOL = re.compile(r"(udp|tcp)[46]?(-(server|client))?:")
"""Before an address since 2.7 (``proto_names`` in socket.c)."""


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return (Command("openvpn"), Command("clock"))


def _read(printed: Printed) -> tuple[Fact, ...]:
    rows = [_cells(row) for row in lines(printed.get("openvpn", b""))]
    if ["OpenVPN STATISTICS"] in rows:
        return (_own_client(rows),)
    if ["OpenVPN CLIENT LIST"] in rows:
        return tuple(_clients_of_version_1(rows))
    written_s = next((row for row in rows if row[0] == "TIME"), None)
    clock = printed.get("clock", b"").decode(errors="replace").strip()
    age: int | None = None
    if written_s is not None and len(written_s) >= 3 and clock:
        age = max(0, count(clock, command="date") - count(written_s[-1], command="openvpn"))
    routes = [row[1:4] for row in rows if row[0] == "ROUTING_TABLE" and len(row) >= 4]
    return tuple(_client(row, routes, heard_s=age) for row in rows if row[0] == "CLIENT_LIST")


def _own_client(rows: list[list[str]]) -> TunnelPeer:
    """What this host carried as a client: payload only, keep-alives are not traffic."""
    told = {row[0]: row[1] for row in rows if len(row) == 2}
    inner = [_bytes(told, f"TUN/TAP {way} bytes") for way in ("write", "read")]
    outer = [_bytes(told, f"TCP/UDP {way} bytes") for way in ("read", "write")]
    received, sent = inner if any(inner) else outer
    return TunnelPeer("openvpn", "", "", (), None, received, sent)


def _bytes(told: dict[str, str], what: str) -> int:
    return count(told.get(what, "0"), command="openvpn")


def _cells(row: str) -> list[str]:
    return row.split("\t" if "\t" in row else ",")


def _client(row: list[str], routes: Iterable[list[str]], *, heard_s: int | None) -> TunnelPeer:
    if len(row) < _CLIENT_FIELDS:
        raise HostOutputError(f"openvpn: a client of {len(row)} fields; it has {_CLIENT_FIELDS} or more")
    own = [_inner_range(text) for text in row[3:5]]
    return TunnelPeer(
        mechanism="openvpn",
        interface=name(row[1]),
        endpoint=_outer_address(row[2]),
        ranges=_distinct((*own, *_ranges_of(row[1], row[2], routes))),
        heard_s=heard_s,
        received_bytes=count(row[5], command="openvpn"),
        sent_bytes=count(row[6], command="openvpn"),
    )


def _clients_of_version_1(rows: list[list[str]]) -> Iterable[TunnelPeer]:
    """Two tables, each below a line of names; the clients' ends where the routes' title is."""
    title = ["ROUTING TABLE"]
    split = rows.index(title) if title in rows else len(rows)
    routes = [row for row in rows[split:] if len(row) == 4]
    for row in rows[:split]:
        if len(row) != _V1_FIELDS or row[0] == "Common Name":
            continue
        yield TunnelPeer(
            mechanism="openvpn",
            interface=name(row[0]),
            endpoint=_outer_address(row[1]),
            ranges=_distinct(_ranges_of(row[0], row[1], routes)),
            heard_s=None,
            received_bytes=count(row[2], command="openvpn"),
            sent_bytes=count(row[3], command="openvpn"),
        )


def _ranges_of(client: str, outer: str, routes: Iterable[list[str]]) -> Iterable[str]:
    """What the server sends to a client; a route is its range, the client's name and its outer address."""
    return (_inner_range(row[0]) for row in routes if [client, outer] == row[1:3])


def _inner_range(text: str) -> str:
    """An address or range; ``C`` behind it says that the server learned it from a packet. Else empty."""
    try:
        return str(ipaddress.ip_network(text.removesuffix("C"), strict=False))
    except ValueError:
        return ""


def _distinct(ranges: Iterable[str]) -> tuple[str, ...]:
    """Each once; an address that was learned inside a range of the same client adds nothing."""
    found = [ipaddress.ip_network(one) for one in dict.fromkeys(ranges) if one]
    return tuple(str(one) for one in found if not any(_is_inside(one, other) for other in found))


def _is_inside(one: _Range, other: _Range) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one != other and one.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and one != other and one.subnet_of(other)


def _outer_address(text: str) -> str:
    protocol = _PROTOCOL.match(text)
    return address(text[protocol.end() :] if protocol else text)


READER = GatewayReader("openvpn", _commands, _read)
