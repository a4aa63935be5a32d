"""Interfaces: ``ip -j -s link``."""

from __future__ import annotations

import msgspec

from netprobe.discovery.gateway.interface import (
    AddressPair,
    GatewayReader,
    Printed,
    decode,
    name,
)
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.model.gateway import Fact, LinkCounters


class _DirectionCounters(msgspec.Struct):
    packets: int = 0
    errors: int = 0
    dropped: int = 0


class _Stats(msgspec.Struct):
    rx: _DirectionCounters = msgspec.field(default_factory=_DirectionCounters)
    tx: _DirectionCounters = msgspec.field(default_factory=_DirectionCounters)


class _Link(msgspec.Struct):
    ifname: str
    mtu: int
    flags: tuple[str, ...] = ()
    stats64: _Stats = msgspec.field(default_factory=_Stats)


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return (Command("links"),)


def _read(printed: Printed) -> tuple[Fact, ...]:
    if "links" not in printed:
        return ()
    return tuple(
        LinkCounters(
            interface=name(link.ifname),
            up="UP" in link.flags,
            mtu=link.mtu,
            received=link.stats64.rx.packets,
            sent=link.stats64.tx.packets,
            receive_dropped=link.stats64.rx.dropped,
            send_dropped=link.stats64.tx.dropped,
            errors=link.stats64.rx.errors + link.stats64.tx.errors,
        )
        for link in decode(printed["links"], list[_Link], command="ip link")
    )


READER = GatewayReader("links", _commands, _read)
