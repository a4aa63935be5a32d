"""WireGuard: ``wg show all dump``, and the host's clock, because handshake times are in it.

An interface's line holds its private key and a peer's line its preshared key (wg(8), "dump"); both lines are
cut into fields and those fields are dropped at once, before anything can fail and quote them.
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
    network,
)
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.gateway import Fact, TunnelPeer

_INTERFACE_FIELDS = 5
_PEER_FIELDS = 9


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return Command("wireguard"), Command("clock")


def _read(printed: Printed) -> tuple[Fact, ...]:
    if "wireguard" not in printed or "clock" not in printed:
        return ()
    now_s = count(printed["clock"].decode(errors="replace").strip(), command="date")
    rows = (line.split("\t") for line in lines(printed["wireguard"]))
    return tuple(_peer_of(row, now_s=now_s) for row in rows if not _is_interface(row))


def _is_interface(row: list[str]) -> bool:
    return len(row) == _INTERFACE_FIELDS


def _peer_of(row: list[str], *, now_s: int) -> TunnelPeer:
    if len(row) != _PEER_FIELDS:
        raise HostOutputError(f"wg: a line of {len(row)} fields; a peer has {_PEER_FIELDS}")
    interface, _, _, endpoint, allowed, handshake, received, sent, _ = row
    at_s = count(handshake, command="wg")
    ranges = (network(text) for text in allowed.split(","))
    return TunnelPeer(
        mechanism="wireguard",
        interface=name(interface),
        endpoint=address(endpoint),
        ranges=tuple(text for text in ranges if text is not None),
        heard_s=max(0, now_s - at_s) if at_s else None,
        received_bytes=count(received, command="wg"),
        sent_bytes=count(sent, command="wg"),
    )


READER = GatewayReader("wireguard", _commands, _read)
