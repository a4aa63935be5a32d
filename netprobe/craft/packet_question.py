"""``--packet``: one packet that an expert wrote, and everything that answers it."""

from __future__ import annotations

from dataclasses import replace

from scapy.layers.inet import ICMP, IPerror
from scapy.layers.inet6 import _ICMPv6Error

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.craft.packet_text import parse_packet
from netprobe.craft.whole_packet import open_heard
from netprobe.errors import InputError
from netprobe.probes.packets import HeardPacket, read_header

NAME = "packet"


def make_packet_kind(text: str) -> CraftKind:
    """A kind that asks with this packet alone; the text is read when the target is known."""

    def build(request: CraftRequest) -> tuple[bytes, ...]:
        packet = bytes(parse_packet(text, source=request.source, target=request.target))
        try:
            read_header(packet, where="--packet")
        except InputError as error:
            raise InputError(error.what, where="--packet") from error
        return (packet,)

    def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
        answer = open_heard(request, heard)
        if answer.haslayer(IPerror) or answer.haslayer(_ICMPv6Error):
            return None  # the outcome tells it
        sent = parse_packet(text, source=request.source, target=request.target)
        if not answer.answers(sent) and not (sent.haslayer(ICMP) and answer.haslayer(ICMP)):
            return None
        return (("answer", answer.summary()),)

    kind = CraftKind(name=NAME, build=build, read=read, via="ip")
    return replace(kind, hint="nothing has to answer such a packet")
