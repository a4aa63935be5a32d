"""``vxlan``: whether an overlay end answers what is encapsulated for it (RFC 7348, section 5).

Sends a question by ARP and an echo inside VXLAN. A far end answers to its own UDP port, so the agent sends
from that port, too; where a VXLAN device of the agent's host has it, the question cannot be asked. An overlay
carries much else, so the agent listens for the whole time.
"""

from __future__ import annotations

from scapy.layers.vxlan import VXLAN

from netprobe.craft.inner_echo import INNER, INNER_MAC, INNER_SOURCE, VNI, build_frames, read_frame
from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import MAX_HEARD, HeardPacket

_IS_VALID = 0x08
"""The flag I: the VNI counts."""


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """Both frames, each inside VXLAN."""
    vni = request.number(VNI, 1, most=0xFFFFFF)
    return tuple(bytes(VXLAN(flags=_IS_VALID, vni=vni) / frame) for frame in build_frames(request))


def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
    """What the inner frame of an answer says."""
    if len(heard.data) < 8 or heard.data[0] != _IS_VALID:
        raise RemoteFormatError("the answer is not of VXLAN")
    packet = VXLAN(heard.data)
    if packet.vni != request.number(VNI, 1, most=0xFFFFFF):
        return None
    return read_frame(request, packet)


KIND = CraftKind(
    name="vxlan", build=build, read=read, port=4789, is_answered_at_port=True, answers=MAX_HEARD,
    options=(INNER, INNER_SOURCE, INNER_MAC, VNI),
    hint="an end answers only to addresses that it has as peers, and only in its VNI",
)  # fmt: skip
