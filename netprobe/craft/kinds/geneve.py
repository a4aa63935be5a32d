"""``geneve``: whether an overlay end answers what is encapsulated for it (RFC 8926, section 3).

As ``vxlan``, inside Geneve: the answer comes to the port that was asked, so the agent sends from it, too.
"""

from __future__ import annotations

from scapy.contrib.geneve import GENEVE

from netprobe.craft.inner_echo import INNER, INNER_MAC, INNER_SOURCE, VNI, build_frames, read_frame
from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import MAX_HEARD, HeardPacket

_ETHERNET = 0x6558
"""Trans-Ether bridging (RFC 8926, section 3.4)."""


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """Both frames, each inside Geneve."""
    vni = request.number(VNI, 1, most=0xFFFFFF)
    return tuple(bytes(GENEVE(proto=_ETHERNET, vni=vni) / frame) for frame in build_frames(request))


def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
    """What the inner frame of an answer says."""
    data = heard.data
    if len(data) < 8 or data[0] >> 6 or int.from_bytes(data[2:4], "big") != _ETHERNET:
        raise RemoteFormatError("the answer is not of Geneve")
    packet = GENEVE(data)
    if packet.vni != request.number(VNI, 1, most=0xFFFFFF):
        return None
    return read_frame(request, packet)


KIND = CraftKind(
    name="geneve", build=build, read=read, port=6081, is_answered_at_port=True, answers=MAX_HEARD,
    options=(INNER, INNER_SOURCE, INNER_MAC, VNI),
    hint="an end answers only to addresses that it has as peers, and only in its VNI",
)  # fmt: skip
