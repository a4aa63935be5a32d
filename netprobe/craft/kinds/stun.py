"""``stun``: from which address and port a STUN server sees the agent (RFC 8489).

Sends a Binding request; the answer's XOR-MAPPED-ADDRESS (section 14.2) is the outside of the last NAT.
"""

from __future__ import annotations

from scapy.contrib.stun import MAGIC_COOKIE, STUN, STUNMappedAddress, STUNXorMappedAddress

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111
_HEADER_BYTES = 20


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """A Binding request without attributes."""
    transaction = int.from_bytes(request.token[:12], "big")
    return (bytes(STUN(stun_message_type=_REQUEST, transaction_id=transaction)),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts:
    """The mapped address, compared with the agent's own."""
    data = heard.data
    is_stun = len(data) >= _HEADER_BYTES and data[4:8] == MAGIC_COOKIE.to_bytes(4, "big")
    if not is_stun or data[8:20] != request.token[:12]:
        raise RemoteFormatError("the answer is not of STUN: cookie or transaction are not in it")
    kind = int.from_bytes(data[:2], "big")
    if kind == _ERROR:
        return (("answer", "the server refuses the request"),)
    if kind != _SUCCESS:
        raise RemoteFormatError(f"the answer is a STUN message of type {kind:#06x}")
    for attribute in STUN(data).attributes:
        if isinstance(attribute, STUNXorMappedAddress):
            return _tell(request, str(attribute.xip), int(attribute.xport))
        if isinstance(attribute, STUNMappedAddress):
            return _tell(request, str(attribute.ip), int(attribute.port))
    return (("answer", "without a mapped address"),)


def _tell(request: CraftRequest, address: str, port: int) -> Facts:
    is_own = address == request.source
    nat = "none: the server sees the agent's own address" if is_own else "the source address is translated"
    return ("mapped address", f"{address} port {port}"), ("nat", nat)


KIND = CraftKind(name="stun", build=build, read=read, port=3478)
