"""``ike``: whether a daemon of IKEv2 answers the first message (RFC 7296, sections 1.2 and 2.23).

Sends an IKE_SA_INIT request with one proposal of common algorithms and a Curve25519 share (RFC 8031). On any
port but 500 four zero bytes, the non-ESP marker, come first (RFC 3948, section 2.2), as behind a NAT. An
answer that refuses the proposal is an answer: the daemon lives. NAT is found as the daemons do, by the hashes
of addresses and ports that the answer repeats.
"""

from __future__ import annotations

import hashlib
import ipaddress

from scapy.contrib.ikev2 import (
    IKEv2,
    IKEv2_KE,
    IKEv2_Nonce,
    IKEv2_Notify,
    IKEv2_Proposal,
    IKEv2_SA,
    IKEv2_Transform,
    IKEv2NotifyMessageTypes,
)

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_SA_INIT, _INITIATOR, _RESPONSE = 34, 0x08, 0x20
_SA, _KE, _NONCE, _NOTIFY, _TRANSFORM = 33, 34, 40, 41, 3
_CURVE25519 = 31
_MARKER = bytes(4)
_NAT_SOURCE, _NAT_TARGET = 16388, 16389
_TRANSFORMS = (
    (1, 12, 256), (1, 12, 128), (1, 20, 256),  # ENCR: AES-CBC, AES-GCM-16
    (2, 5, 0), (2, 2, 0),  # PRF: HMAC-SHA2-256, HMAC-SHA1
    (3, 12, 0), (3, 2, 0),  # INTEG: HMAC-SHA2-256-128, HMAC-SHA1-96
    (4, _CURVE25519, 0), (4, 19, 0), (4, 14, 0),  # DH: Curve25519, P-256, MODP-2048
)  # fmt: skip
"""Type, number and key length (IANA's IKEv2 parameters)."""


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """The request, with the marker where it is due."""
    spi, nonce, share = request.token[:8], request.token, hashlib.sha256(request.token).digest()
    chain = None
    for place, (kind, number, length) in enumerate(reversed(_TRANSFORMS)):
        made = IKEv2_Transform(next_payload=_TRANSFORM if place else 0, transform_type=kind)
        made.transform_id = number
        if length:
            made.length, made.key_length = 12, length
        chain = made if chain is None else made / chain
    proposal = IKEv2_Proposal(next_payload=0, proposal=1, proto=1, trans_nb=len(_TRANSFORMS), trans=chain)
    packet = (
        IKEv2(init_SPI=spi, resp_SPI=bytes(8), next_payload=_SA, exch_type=_SA_INIT, flags=_INITIATOR, id=0)
        / IKEv2_SA(next_payload=_KE, prop=proposal)
        / IKEv2_KE(next_payload=_NONCE, group=_CURVE25519, ke=share)
        / IKEv2_Nonce(next_payload=_NOTIFY, nonce=nonce)
        / _hash_notify(_NAT_SOURCE, spi, request.source, 0, following=_NOTIFY)
        / _hash_notify(_NAT_TARGET, spi, request.target, request.port, following=0)
    )
    return ((_MARKER if request.port != 500 else b"") + bytes(packet),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts:
    """What the answer to our request says."""
    data = heard.data.removeprefix(_MARKER) if request.port != 500 else heard.data
    if len(data) < 28 or data[:8] != request.token[:8]:
        raise RemoteFormatError("the answer is not of IKEv2: our SPI is not in it")
    if data[17] != 0x20 or data[18] != _SA_INIT or not data[19] & _RESPONSE:
        raise RemoteFormatError("the answer is not an IKE_SA_INIT response of IKEv2")
    packet = IKEv2(data)
    facts = [("responder SPI", data[8:16].hex())]
    if packet.haslayer(IKEv2_SA):
        facts.append(("answer", "the proposal is accepted"))
    notifies = [layer for layer in packet.iterpayloads() if isinstance(layer, IKEv2_Notify)]
    refused = [
        IKEv2NotifyMessageTypes.get(each.type, str(each.type)) for each in notifies if each.type < 16384
    ]
    if refused:
        facts.append(("answer", f"refuses: {', '.join(refused)}"))
    told = [bytes(each.notify) for each in notifies if each.type == _NAT_SOURCE]
    own = _hash(data[:16], heard.source, heard.port)
    if told:
        facts.append(
            ("nat", "none before the daemon" if own in told else "the daemon is behind a NAT, or says so")
        )
    return tuple(facts)


def _hash_notify(kind: int, spi: bytes, address: str, port: int, *, following: int) -> IKEv2_Notify:
    digest = _hash(spi + bytes(8), address, port)
    return IKEv2_Notify(next_payload=following, proto=0, type=kind, notify=digest)


def _hash(spis: bytes, address: str, port: int) -> bytes:
    """RFC 7296, section 2.23: SHA-1 of both SPIs, address and port."""
    packed = ipaddress.ip_address(address).packed
    return hashlib.sha1(spis + packed + port.to_bytes(2, "big"), usedforsecurity=False).digest()


KIND = CraftKind(
    name="ike",
    build=build,
    read=read,
    port=500,
    hint="a daemon that knows no connection from this address may be silent",
)
