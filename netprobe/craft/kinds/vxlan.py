"""``vxlan``: whether an overlay end answers what is encapsulated for it (RFC 7348, section 5)."""

from __future__ import annotations

from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from netprobe.craft.overlay import make_overlay_kind
from netprobe.errors import RemoteFormatError

_IS_VALID = 0x08
"""The flag I: the VNI counts."""


def make_header(vni: int) -> Packet:
    """The header of one network."""
    return VXLAN(flags=_IS_VALID, vni=vni)


def open_answer(data: bytes) -> Packet:
    """An answer from its VXLAN header on."""
    if len(data) < 8 or data[0] != _IS_VALID:
        raise RemoteFormatError("the answer is not of VXLAN")
    return VXLAN(data)


KIND = make_overlay_kind("vxlan", port=4789, header=make_header, open_answer=open_answer)
