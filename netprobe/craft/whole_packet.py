"""Whole packets from the agent to the target, and what comes back of them as Scapy reads it."""

from __future__ import annotations

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from netprobe.craft.kind import CraftRequest
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket


def envelop(request: CraftRequest, payload: Packet) -> bytes:
    """*payload* inside IP, from the agent to the target."""
    if request.version == 4:
        return bytes(IP(src=request.source, dst=request.target) / payload)
    return bytes(IPv6(src=request.source, dst=request.target) / payload)


def open_heard(request: CraftRequest, heard: HeardPacket) -> Packet:
    """A whole packet that came; IPv6 comes without its header, so it gets one again."""
    if request.version == 6:
        head = IPv6(src=heard.source, dst=request.source, nh=heard.port, plen=len(heard.data))
        return IPv6(bytes(head) + heard.data)
    if len(heard.data) < 20 or heard.data[0] >> 4 != 4:
        raise RemoteFormatError("the answer is not an IP packet")
    return IP(heard.data)
