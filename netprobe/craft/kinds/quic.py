"""``quic``: whether a QUIC server answers, and which versions it speaks (RFC 9000, section 6).

Sends a long header with a version that is reserved to force a negotiation (section 15), padded to 1,200 bytes
as any first datagram has to be (section 14.1). A server answers with its versions.
"""

from __future__ import annotations

import struct

from scapy.layers.quic import QUIC_Version

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_FORCED = 0x1A2A3A4A
_FIRST_BYTES = 1_200
_VERSIONS = {0x00000001: "1", 0x6B3343CF: "2"}


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """A long header of a version that no server speaks (RFC 8999, section 5.1), and padding."""
    target, source = request.token[:8], request.token[8:16]
    head = struct.pack("!BIB8sB8s", 0xC0, _FORCED, 8, target, 8, source)
    return (head.ljust(_FIRST_BYTES, b"\0"),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts:
    """The versions of the server."""
    data = heard.data
    if len(data) < 7 or not data[0] & 0x80 or data[1:5] != bytes(4):
        raise RemoteFormatError("the answer is not a version negotiation of QUIC")
    packet = QUIC_Version(data)  # by name: Scapy chooses by a bit that servers may set as they like
    ids = bytes(packet.DstConnID), bytes(packet.SrcConnID)
    if ids != (request.token[8:16], request.token[:8]):
        raise RemoteFormatError("the answer is a version negotiation for another connection")
    versions = [each for each in packet.SupportedVersions if each & 0x0F0F0F0F != 0x0A0A0A0A]
    return (("versions", ", ".join(_VERSIONS.get(each, f"{each:#010x}") for each in versions)),)


KIND = CraftKind(name="quic", build=build, read=read, port=443)
