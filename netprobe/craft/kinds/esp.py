"""``esp``: whether ESP packets get through to a peer (RFC 4303).

Sends packets of a security association that no peer has (SPI of at least 256, section 2.1). A peer drops
them without an answer (section 3.4.2), so silence says nothing: the command then looks at the counters of the
far gateway (:mod:`netprobe.workflows.esp_arrival`). An ICMP error says who refuses.
"""

from __future__ import annotations

import hashlib

from scapy.layers.ipsec import ESP

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.craft.whole_packet import envelop
from netprobe.probes.packets import MAX_PACKETS, HeardPacket

_LEAST_SPI = 256


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """As many packets as a question may hold, so that counters which grow by as much are ours."""
    spi = _LEAST_SPI | int.from_bytes(request.token[:4], "big")
    data = hashlib.sha512(request.token).digest()
    return tuple(
        envelop(request, ESP(spi=spi, seq=number, data=data)) for number in range(1, MAX_PACKETS + 1)
    )


def read(request: CraftRequest, heard: HeardPacket) -> Facts | None:
    """Nothing answers: ESP that comes from the peer is its tunnel's, and the outcome tells ICMP errors."""
    del request, heard
    return None


KIND = CraftKind(
    name="esp", build=build, read=read, via="ip", is_counted=True,
    hint="no peer answers such a packet, so silence is inconclusive",
)  # fmt: skip
