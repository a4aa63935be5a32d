"""``geneve``: whether an overlay end answers what is encapsulated for it (RFC 8926, section 3)."""

from __future__ import annotations

from scapy.contrib.geneve import GENEVE
from scapy.packet import Packet

from netprobe.craft.overlay import make_overlay_kind
from netprobe.errors import RemoteFormatError

_ETHERNET = 0x6558
"""Trans-Ether bridging (RFC 8926, section 3.4)."""


def make_header(vni: int) -> Packet:
    """The header of one network."""
    return GENEVE(proto=_ETHERNET, vni=vni)


def open_answer(data: bytes) -> Packet:
    """An answer from its Geneve header on."""
    if len(data) < 8 or data[0] >> 6 or int.from_bytes(data[2:4], "big") != _ETHERNET:
        raise RemoteFormatError("the answer is not of Geneve")
    return GENEVE(data)


KIND = make_overlay_kind("geneve", port=6081, header=make_header, open_answer=open_answer)
