"""``openvpn``: whether an OpenVPN server answers a client's first packet over UDP.

Sends P_CONTROL_HARD_RESET_CLIENT_V2; a server repeats our session id in P_CONTROL_HARD_RESET_SERVER_V2
(draft-openvpn-wire-protocol, "OpenVPN Control Channel packet format"). Servers with ``tls-auth`` or
``tls-crypt`` answer nothing to a packet that their key has not signed.
"""

from __future__ import annotations

from scapy.fields import (
    BitEnumField,
    BitField,
    ConditionalField,
    FieldLenField,
    FieldListField,
    IntField,
    XStrFixedLenField,
)
from scapy.packet import Packet

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_CLIENT_RESET, _SERVER_RESET = 7, 8
_COUNT_AT, _LEAST_BYTES = 9, 26
"""Where the number of acknowledgements is, and the size of a reset that acknowledges ours."""
_OPCODES = {
    4: "CONTROL_V1",
    5: "ACK_V1",
    _CLIENT_RESET: "HARD_RESET_CLIENT_V2",
    _SERVER_RESET: "HARD_RESET_SERVER_V2",
}


class OpenVpnControl(Packet):
    """A control packet without ``tls-auth``: opcode, key id, session id, acknowledgements, number."""

    name = "OpenVPN control"
    fields_desc = [  # noqa: RUF012 - Scapy's way to declare a packet
        BitEnumField("opcode", _CLIENT_RESET, 5, _OPCODES),
        BitField("key_id", 0, 3),
        XStrFixedLenField("session", bytes(8), 8),
        FieldLenField("acknowledged_count", None, count_of="acknowledged", fmt="B"),
        FieldListField(
            "acknowledged", [], IntField("", 0), count_from=lambda packet: packet.acknowledged_count
        ),
        ConditionalField(
            XStrFixedLenField("remote_session", bytes(8), 8), lambda packet: packet.acknowledged_count
        ),
        IntField("number", 0),
    ]


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """The client's reset; the session id is random."""
    return (bytes(OpenVpnControl(session=request.token[:8])),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts:
    """What the server's reset says."""
    data = heard.data
    if len(data) < _LEAST_BYTES or data[0] >> 3 != _SERVER_RESET or not data[_COUNT_AT]:
        raise RemoteFormatError("the answer is not a hard reset of an OpenVPN server")
    packet = OpenVpnControl(data)
    if bytes(packet.remote_session) != request.token[:8]:
        raise RemoteFormatError("the answer is a hard reset of OpenVPN for another session")
    return (("server session", bytes(packet.session).hex()),)


KIND = CraftKind(
    name="openvpn",
    build=build,
    read=read,
    port=1194,
    hint="a server with tls-auth or tls-crypt is silent to what its key has not signed",
)
