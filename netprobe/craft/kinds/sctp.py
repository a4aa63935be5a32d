"""``sctp``: whether a port accepts associations (RFC 9260, section 5.1).

Sends an INIT as a whole packet, so the agent's kernel needs no SCTP. INIT ACK means open, ABORT closed. The
answer is not continued, so the server keeps no state (section 5.1.3).
"""

from __future__ import annotations

from scapy.layers.sctp import SCTP, SCTPChunkAbort, SCTPChunkInit, SCTPChunkInitAck

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.craft.whole_packet import envelop, open_heard
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_SCTP = 132
_DEFAULT_PORT = 2905


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """An INIT chunk from a source port of the dynamic range."""
    tag = int.from_bytes(request.token[:4], "big") | 1
    chunk = SCTPChunkInit(init_tag=tag, a_rwnd=65_536, n_out_streams=1, n_in_streams=1, init_tsn=tag)
    return (envelop(request, SCTP(sport=_source_port(request), dport=_port(request), tag=0) / chunk),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
    """Open or closed."""
    packet = open_heard(request, heard).getlayer(SCTP) if heard.port == _SCTP else None
    if packet is None or (packet.sport, packet.dport) != (_port(request), _source_port(request)):
        return None
    if packet.haslayer(SCTPChunkInitAck):
        return (("port", "open: the server would accept the association"),)
    if packet.haslayer(SCTPChunkAbort):
        return (("port", "closed: the host aborts the association"),)
    raise RemoteFormatError("the answer is neither INIT ACK nor ABORT")


def _port(request: CraftRequest) -> int:
    return request.port or _DEFAULT_PORT


def _source_port(request: CraftRequest) -> int:
    return 49_152 + int.from_bytes(request.token[4:6], "big") % 16_384


KIND = CraftKind(name="sctp", build=build, read=read, via="ip", port=_DEFAULT_PORT)
