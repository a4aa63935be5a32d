"""OpenVPN: a server's status file, version 1, 2 or 3 (openvpn(8), ``--status-version``), or a client's.

A client names neither its server nor what lies behind it, only what it carried.

The file is rewritten every minute by default; ``heard_s`` is the age that it shows for itself where it is of
a version that tells both times as numbers, else None.
"""

from __future__ import annotations

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

_CLIENT_FIELDS = 9


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return (Command("openvpn"), Command("clock"))


def _read(printed: Printed) -> tuple[Fact, ...]:
    rows = [_cells(row) for row in lines(printed.get("openvpn", b""))]
    if ["OpenVPN STATISTICS"] in rows:
        return (_own_client(rows),)
    written_s = next((row for row in rows if row[0] == "TIME"), None)
    clock = printed.get("clock", b"").decode(errors="replace").strip()
    age: int | None = None
    if written_s is not None and len(written_s) >= 3 and clock:
        age = max(0, count(clock, command="date") - count(written_s[-1], command="openvpn"))
    return tuple(_client(row, heard_s=age) for row in rows if row[0] == "CLIENT_LIST")


def _own_client(rows: list[list[str]]) -> TunnelPeer:
    """What this host carried as a client: payload only, keep-alives are not traffic."""
    told = {row[0]: row[1] for row in rows if len(row) == 2}
    received, sent = (told.get(f"TUN/TAP {way} bytes", "0") for way in ("write", "read"))
    return TunnelPeer(
        "openvpn", "", "", (), None, count(received, command="openvpn"), count(sent, command="openvpn")
    )


def _cells(row: str) -> list[str]:
    return row.split("\t" if "\t" in row else ",")


def _client(row: list[str], *, heard_s: int | None) -> TunnelPeer:
    if len(row) < _CLIENT_FIELDS:
        raise HostOutputError(f"openvpn: a client of {len(row)} fields; it has {_CLIENT_FIELDS} or more")
    inner = [f"{text}/{128 if ':' in text else 32}" for text in map(address, row[3:5]) if text]
    return TunnelPeer(
        mechanism="openvpn",
        interface=name(row[1]),
        endpoint=address(row[2]),
        ranges=tuple(inner),
        heard_s=heard_s,
        received_bytes=count(row[5], command="openvpn"),
        sent_bytes=count(row[6], command="openvpn"),
    )


READER = GatewayReader("openvpn", _commands, _read)
