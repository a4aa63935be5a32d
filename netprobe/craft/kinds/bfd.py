"""``bfd``: whether a BFD neighbour answers (RFC 5880, section 6.8.6; RFC 5881, sections 4 and 5).

Sends one control packet of a session that is down, with TTL 255; port 4784 asks over several hops (RFC 5883).
A neighbour sends its own packets to the same port of the agent, so the agent sends from there (RFC 5881 asks
for a higher one) and must not run BFD itself.
"""

from __future__ import annotations

from scapy.contrib.bfd import BFD

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_ADMIN_DOWN, _DOWN, _LEAST_BYTES = 0, 1, 24
_MULTIPOINT = 1
_STATES = {0: "AdminDown", 1: "Down", 2: "Init", 3: "Up"}
_INTERVAL_US = 1_000_000


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """A control packet in state Down, which knows no discriminator of the neighbour yet."""
    own = int.from_bytes(request.token[:4], "big") | 1
    packet = BFD(sta=_DOWN, my_discriminator=own, your_discriminator=0, min_tx_interval=_INTERVAL_US,
                 min_rx_interval=_INTERVAL_US, echo_rx_interval=0)  # fmt: skip
    return (bytes(packet),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts:
    """State and session of the neighbour; what RFC 5880 section 6.8.6 tells to discard is an error."""
    data = heard.data
    if len(data) < _LEAST_BYTES or data[0] >> 5 != 1:
        raise RemoteFormatError("the answer is not of BFD version 1")
    own = int.from_bytes(request.token[:4], "big") | 1
    packet = BFD(data)
    is_whole = _LEAST_BYTES <= data[3] <= len(data) and data[2] and not data[1] & _MULTIPOINT
    is_ours = packet.your_discriminator == own or (
        not packet.your_discriminator and packet.sta in {_ADMIN_DOWN, _DOWN}
    )
    if not (is_whole and is_ours and packet.my_discriminator):
        raise RemoteFormatError("the answer is a BFD packet that a system must discard")
    knows = "knows our session" if packet.your_discriminator == own else "does not know our session"
    return ("state", _STATES[packet.sta]), ("session", knows)


KIND = CraftKind(
    name="bfd", build=build, read=read, port=3784, is_answered_at_port=True, ttl=255,
    hint="a neighbour answers only where a session with this address is configured",
)  # fmt: skip
