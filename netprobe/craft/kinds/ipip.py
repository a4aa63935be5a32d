"""``ipip``: whether a tunnel end answers an echo that is encapsulated for it (IP in IP, RFC 2003)."""

from __future__ import annotations

from netprobe.craft.inner_echo import INNER, INNER_SOURCE, build_echo, read_echo
from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.craft.whole_packet import envelop, open_heard
from netprobe.probes.packets import HeardPacket

_IPIP = 4


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """An echo request inside IP."""
    return (envelop(request, build_echo(request)),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
    """What the inner packet of an answer says."""
    if heard.port != _IPIP:
        return None  # an ICMP error; the outcome tells it
    return read_echo(request, open_heard(request, heard).payload)


KIND = CraftKind(
    name="ipip", build=build, read=read, via="ip", options=(INNER, INNER_SOURCE),
    hint="an end answers only to addresses that it has as peers",
)  # fmt: skip
