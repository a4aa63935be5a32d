"""IPsec: the security associations of ``swanctl --list-sas --raw``, else the kernel's from ``ip xfrm``.

The raw form is strongSwan's vici message as text: ``list-sa event {gw {uniqueid=1 … child-sas {…}}}``.
``ip xfrm state list nokeys`` leaves keys out already.
"""

from __future__ import annotations

import re

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

_EVENT = re.compile(r"list-sa event \{(?P<name>[^ {}]+) \{(?P<body>.*)\}\}\Z")
_STATE = re.compile(r"src (?P<source>\S+) dst (?P<target>\S+)\Z")
_LIFETIME = re.compile(r"\s*(?P<bytes>\d+)\(bytes\), (?P<packets>\d+)\(packets\)\Z")


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return Command("ipsec"), Command("xfrm")


def _read(printed: Printed) -> tuple[Fact, ...]:
    events = [line for line in lines(printed.get("ipsec", b"")) if line.startswith("list-sa event ")]
    return tuple(_association(line) for line in events) or _kernel_states(lines(printed.get("xfrm", b"")))


def _association(line: str) -> TunnelPeer:
    found = _EVENT.match(line)
    if found is None:
        raise HostOutputError("swanctl: an event without an association")
    body = found["body"]
    age = _value(body, "established") if _value(body, "state") == "ESTABLISHED" else ""
    ranges = " ".join(re.findall(r"remote-ts=\[([^\]]*)\]", body)).split()
    inward, outward = (re.findall(rf"\b{key}=(\d+)", body) for key in ("bytes-in", "bytes-out"))
    return TunnelPeer(
        mechanism="ipsec",
        interface=name(found["name"]),
        endpoint=address(_value(body, "remote-host")),
        ranges=tuple(cidr for text in ranges if (cidr := network(text)) is not None),
        heard_s=count(age, command="swanctl") if age else None,
        received_bytes=sum(count(text, command="swanctl") for text in inward),
        sent_bytes=sum(count(text, command="swanctl") for text in outward),
    )


def _value(body: str, key: str) -> str:
    found = re.search(rf"(?:^|[ {{]){key}=([^ {{}}]*)", body)
    return found[1] if found else ""


def _kernel_states(rows: list[str]) -> tuple[TunnelPeer, ...]:
    """One peer per kernel state. A state tells no age of contact, only what it carried."""
    peers: list[TunnelPeer] = []
    target = ""
    carried = False
    for row in rows:
        if found := _STATE.match(row):
            target, carried = address(found["target"]), False
        elif "lifetime current:" in row:
            carried = True
        elif target and carried and (found := _LIFETIME.match(row)):
            sent = count(found["bytes"], command="ip xfrm")
            peers.append(TunnelPeer("ipsec", "xfrm", target, (), None, None, sent))
            target, carried = "", False
    return tuple(peers)


READER = GatewayReader("ipsec", _commands, _read)
