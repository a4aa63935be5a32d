"""``gre``: whether a tunnel end answers an echo that is encapsulated for it (RFC 2784, RFC 2890).

Reads the option ``key`` for tunnels that have one.
"""

from __future__ import annotations

from scapy.layers.inet import IP
from scapy.layers.l2 import GRE

from netprobe.craft.inner_echo import INNER, INNER_SOURCE, build_echo, read_echo
from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.craft.whole_packet import envelop, open_heard
from netprobe.probes.packets import HeardPacket

_GRE, _IPV4 = 47, 0x0800


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """An echo request inside GRE."""
    head = GRE(proto=_IPV4)
    if "key" in request.options:
        head = GRE(proto=_IPV4, key_present=1, key=request.number("key", 0, most=0xFFFFFFFF))
    return (envelop(request, head / build_echo(request)),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
    """What the inner packet of an answer says."""
    if heard.port != _GRE:
        return None  # an ICMP error; the outcome tells it
    tunnel = open_heard(request, heard).getlayer(GRE)
    inner = tunnel.getlayer(IP) if tunnel is not None else None
    if inner is None:
        return None
    return read_echo(request, inner)


KIND = CraftKind(
    name="gre", build=build, read=read, via="ip", options=(INNER, INNER_SOURCE, "key"),
    hint="an end answers only to addresses that it has as peers, and only with its key",
)  # fmt: skip
