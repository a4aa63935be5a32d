"""Kinds that ask the end of an Ethernet overlay (VXLAN, Geneve): frames go in, an inner answer comes back.

A far end answers to its own UDP port, so the agent sends from that port, too; where a device of the agent's
host has it, the question cannot be asked. An overlay carries much else, so the agent listens for the whole
time.
"""

from __future__ import annotations

from collections.abc import Callable

from scapy.packet import Packet

from netprobe.craft.inner_echo import INNER, INNER_MAC, INNER_SOURCE, VNI, build_frames, read_frame
from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.probes.packets import MAX_HEARD, HeardPacket

_MOST_VNI = 0xFFFFFF


def make_overlay_kind(
    name: str, *, port: int, header: Callable[[int], Packet], open_answer: Callable[[bytes], Packet]
) -> CraftKind:
    """The kind of one encapsulation.

    *header* makes the one for a network's number (VNI). *open_answer* reads an answer, whose first layer has
    a field ``vni``; :class:`netprobe.errors.RemoteFormatError` for what is not of this encapsulation.
    """

    def build(request: CraftRequest) -> tuple[bytes, ...]:
        vni = request.number(VNI, 1, most=_MOST_VNI)
        return tuple(bytes(header(vni) / frame) for frame in build_frames(request))

    def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
        packet = open_answer(heard.data)
        if packet.vni != request.number(VNI, 1, most=_MOST_VNI):
            return None
        return read_frame(request, packet)

    return CraftKind(
        name=name, build=build, read=read, port=port, is_answered_at_port=True, answers=MAX_HEARD,
        options=(INNER, INNER_SOURCE, INNER_MAC, VNI),
        hint="an end answers only to addresses that it has as peers, and only in its VNI",
    )  # fmt: skip
