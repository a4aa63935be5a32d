"""UDP echo on the wire: STAMP (RFC 8762) test packets with TLVs (RFC 8972), always in the same order.

Rules:

- The layout is fixed, so that a packet is one ``struct`` and a thousand packets are one array::

      offset  size
           0    44  base packet, unauthenticated mode (RFC 8762, sections 4.2.1 and 4.3.1)
          44    96  Identity TLV, private type 252: version, role, check, boot, sequence, agent's name
         140    28  Location TLV, type 2 (RFC 8972, section 4.2) with one Source IP Address sub-TLV
         168    16  Direct Measurement TLV, type 5 (section 4.5): the session's counters
         184    20  HMAC TLV, type 8 (section 4.8)
         204     …  Extra Padding TLV, type 1 (section 4.1), where a larger packet is wanted

- An answer has exactly the size of its request (RFC 8762, section 4.3: symmetric).
- The HMAC covers the base's sequence number and every TLV before it, as RFC 8972 says. The timestamps stay
  outside; the sender's sequence number is repeated in the Identity TLV, so an answer proves which request it
  belongs to. A packet whose HMAC is wrong is a stranger's: :class:`StrangerError`.
- Integers are in network byte order; times are Unix wall time in nanoseconds, on the wire NTP's 64 bits.

The reflector is stateful (RFC 8762, section 4.3): with S sent, C received by the reflector and R answers
received, S − C were lost on the way out and C − R on the way back.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import struct
from dataclasses import dataclass
from typing import NamedTuple

from netprobe.errors import MisuseError, RemoteFormatError

MIN_BYTES = 204
"""UDP payload of the smallest packet."""
MIN_PADDED_BYTES = MIN_BYTES + 4
"""The next size above :data:`MIN_BYTES`: padding is a TLV of its own."""
MAX_BYTES = 65_000
NAME_BYTES = 72

CHECK_OFFSET = 44 + 4 + 4
"""Where the check id stands, for those who read a quoted packet or a column of packets."""

_VERSION, _ROLE_REQUEST, _ROLE_ANSWER = 1, 1, 2
_IDENTITY, _LOCATION, _DIRECT, _HMAC, _PADDING = 252, 2, 5, 8, 1
_SOURCE_ANY, _SOURCE_V4, _SOURCE_V6 = 7, 8, 9
_UNRECOGNISED = 0x80  # RFC 8972, section 4: the sender sets U, the reflector clears it
_ERROR_ESTIMATE = 22 << 8 | 1  # RFC 4656, section 4.1.2: unsynchronised, NTP format, 1·2^(22-32) s ≈ 1 ms
_NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
_HMAC_AT = 184
_HMAC_BYTES = 16

_REQUEST = struct.Struct("!IQHH28x" "BBHBBHQII72s" "BBHHHBBH16s" "BBHIII" "BBH16s")  # fmt: skip
_HEAD = struct.Struct("!IQHH")
"""Sequence number, timestamp, error estimate, SSID."""
_REFLECTED_AT, _REFLECTED = 16, struct.Struct("!QIQHHB")
"""Receive timestamp, and what is repeated of the request: sequence number, timestamp, estimate, TTL."""
_IDENTIFIED = struct.Struct("!QII")
"""Check, boot, sequence number; at :data:`CHECK_OFFSET`."""
_NAME_AT = CHECK_OFFSET + _IDENTIFIED.size
_LOCATED_AT, _LOCATED = 144, struct.Struct("!HHBBH16s")
"""Both ports, then the source address's own TLV."""
_COUNTS_AT, _COUNTS = 172, struct.Struct("!III")
_LAYOUT = ((45, b"\xfc\0\x5c"), (141, b"\2\0\x18"), (169, b"\5\0\x0c"), (185, b"\x08\0\x10"))
"""Types and lengths of the four TLVs."""
_REMEMBERED = 4_096
"""Keys, names and addresses whose encoding is kept: they are the same in packet after packet."""


def _template(*, role: int, flags: int, source: int) -> bytes:
    return _REQUEST.pack(
        *(0, 0, 0, 0),
        *(flags, _IDENTITY, 92, _VERSION, role, 0, 0, 0, 0, b""),
        *(flags, _LOCATION, 24, 0, 0, flags, source, 16, b""),
        *(flags, _DIRECT, 12, 0, 0, 0),
        *(flags, _HMAC, _HMAC_BYTES, b""),
    )


_REQUEST_TEMPLATE = _template(role=_ROLE_REQUEST, flags=_UNRECOGNISED, source=_SOURCE_ANY)
_ANSWER_TEMPLATE = _template(role=_ROLE_ANSWER, flags=0, source=0)


class StrangerError(RemoteFormatError):
    """A packet that does not know our key: not answered, not believed."""


class Request(NamedTuple):
    """What a Session-Sender asks; a tuple, because one is made per packet."""

    check: int
    """The check's 63-bit id; names the session together with *boot*."""
    boot: int
    """32 random bits of the asking process: a restart begins a new session."""
    sequence: int
    """1, 2, 3 … within the session, 32 bits."""
    sent_ns: int
    """T1."""
    sent_count: int
    """How many requests the sender has sent in this session, this one included."""


class Answer(NamedTuple):
    """What a Session-Reflector says about one request; a tuple, because one is made per packet."""

    check: int
    boot: int
    sequence: int
    """The sender's sequence number."""
    sent_ns: int
    """T1, copied from the request."""
    received_ns: int
    """T2, when the request arrived at the reflector."""
    answered_ns: int
    """T3, when the answer left the reflector."""
    sent_count: int
    received_count: int
    """C: how many requests of this session the reflector has received, this one included."""
    answered_count: int
    """How many it has answered, this one included; also the answer's own sequence number."""
    observed_source: str
    """The request's source address as the reflector saw it."""
    observed_port: int
    reflector_port: int
    observed_ttl: int
    """TTL or hop limit left when the request arrived; 0 where the reflector could not see it."""
    answered_by: str
    """The reflector's agent id."""

    @property
    def dwell_ns(self) -> int:
        """How long the reflector held the request: T3 − T2, never negative."""
        return max(0, self.answered_ns - self.received_ns)


def encode_request(request: Request, *, key: bytes, size: int = MIN_BYTES) -> bytes:
    """A test packet of *size* bytes of UDP payload."""
    packed = bytearray(_REQUEST_TEMPLATE)
    sequence = request.sequence
    _HEAD.pack_into(packed, 0, sequence, ntp_of(request.sent_ns), _ERROR_ESTIMATE, session_id(request.check))
    _IDENTIFIED.pack_into(packed, CHECK_OFFSET, request.check, request.boot, sequence)
    _COUNTS.pack_into(packed, _COUNTS_AT, request.sent_count & 0xFFFFFFFF, 0, 0)
    return _seal(packed, key=key, size=size, flags=_UNRECOGNISED)


def encode_answer(answer: Answer, *, key: bytes, size: int = MIN_BYTES) -> bytes:
    """The reflected packet; *size* is the size of the request it answers."""
    packed = bytearray(_ANSWER_TEMPLATE)
    answered_count = answer.answered_count & 0xFFFFFFFF
    ssid = session_id(answer.check)
    _HEAD.pack_into(packed, 0, answered_count, ntp_of(answer.answered_ns), _ERROR_ESTIMATE, ssid)
    received, sent = ntp_of(answer.received_ns), ntp_of(answer.sent_ns)
    _REFLECTED.pack_into(
        packed, _REFLECTED_AT, received, answer.sequence, sent, _ERROR_ESTIMATE, 0, answer.observed_ttl
    )
    _IDENTIFIED.pack_into(packed, CHECK_OFFSET, answer.check, answer.boot, answer.sequence)
    name = _encode_name_once(answer.answered_by)
    packed[_NAME_AT : _NAME_AT + len(name)] = name
    source = _pack_source(answer.observed_source)
    kind = _SOURCE_V4 if len(source) == 4 else _SOURCE_V6
    _LOCATED.pack_into(packed, _LOCATED_AT, answer.reflector_port, answer.observed_port, 0, kind, 16, source)
    _COUNTS.pack_into(
        packed, _COUNTS_AT, answer.sent_count & 0xFFFFFFFF, answer.received_count & 0xFFFFFFFF, answered_count
    )
    return _seal(packed, key=key, size=size, flags=0)


def decode_request(data: bytes, *, key: bytes) -> Request:
    """Read a test packet; :class:`RemoteFormatError` where it is not one of ours."""
    _check_shape(data, role=_ROLE_REQUEST, key=key)
    sequence, sent, _, _ = _HEAD.unpack_from(data)
    _check_layout(data, sources=(_SOURCE_ANY,))
    check, boot = _identify(data, sequence)
    return Request(check, boot, sequence, unix_of(sent), sent_count=_COUNTS.unpack_from(data, _COUNTS_AT)[0])


def decode_answer(data: bytes, *, key: bytes) -> Answer:
    """Read a reflected packet; :class:`RemoteFormatError` where it is not one of ours."""
    _check_shape(data, role=_ROLE_ANSWER, key=key)
    _, answered, _, _ = _HEAD.unpack_from(data)
    received, sequence, sent, _, _, ttl = _REFLECTED.unpack_from(data, _REFLECTED_AT)
    _check_layout(data, sources=(_SOURCE_V4, _SOURCE_V6))
    check, boot = _identify(data, sequence)
    reflector_port, observed_port, _, kind, _, source = _LOCATED.unpack_from(data, _LOCATED_AT)
    sent_count, received_count, answered_count = _COUNTS.unpack_from(data, _COUNTS_AT)
    return Answer(
        check=check,
        boot=boot,
        sequence=sequence,
        sent_ns=unix_of(sent),
        received_ns=unix_of(received),
        answered_ns=unix_of(answered),
        sent_count=sent_count,
        received_count=received_count,
        answered_count=answered_count,
        observed_source=_source_text(source if kind == _SOURCE_V6 else source[:4]),
        observed_port=observed_port,
        reflector_port=reflector_port,
        observed_ttl=ttl,
        answered_by=_decode_name(bytes(data[_NAME_AT : _NAME_AT + NAME_BYTES])),
    )


@dataclass(frozen=True, slots=True)
class QuotedRequest:
    """What an ICMP error says of a request it quotes; nothing here is proven."""

    sequence: int
    check: int | None
    """None where the router quoted too little."""


def read_quote(data: bytes) -> QuotedRequest | None:
    """Read a quoted (cut off) request; None where not even the sequence number was quoted."""
    if len(data) < 4:
        return None
    (sequence,) = struct.unpack_from("!I", data)
    if len(data) < CHECK_OFFSET + 8 or data[45] != _IDENTITY:
        return QuotedRequest(sequence, None)
    (check,) = struct.unpack_from("!Q", data, CHECK_OFFSET)
    return QuotedRequest(sequence, check)


def session_id(check: int) -> int:
    """The SSID (RFC 8972, section 3): 16 bits of the check id, never zero."""
    return check % 0xFFFF + 1


def encode_name(name: str) -> bytes:
    """A name as it stands on the wire, before padding; a long one keeps its start and a digest of the whole.

    >>> encode_name("prod/w1/pod")
    b'prod/w1/pod'
    >>> len(encode_name("x" * 100))
    72
    """
    raw = name.encode()
    if len(raw) <= NAME_BYTES:
        return raw
    start = raw[: NAME_BYTES - 17].decode(errors="ignore")
    return f"{start}~{hashlib.blake2b(raw, digest_size=8).hexdigest()}".encode()


def is_same_name(expected: str, claimed: str) -> bool:
    """Whether *claimed*, read from the wire, is how *expected* looks there."""
    return encode_name(expected) == claimed.encode()


def ntp_of(unix_ns: int) -> int:
    """Unix nanoseconds as a 64-bit NTP timestamp (RFC 5905, section 6); exact to the nanosecond."""
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    fraction = ((rest_ns << 32) + 500_000_000) // 1_000_000_000
    return (((seconds + _NTP_EPOCH_S) & 0xFFFFFFFF) << 32) | fraction


def unix_of(ntp: int) -> int:
    """A 64-bit NTP timestamp as Unix nanoseconds between 1970 and 2106, whatever its era."""
    seconds = ((ntp >> 32) - _NTP_EPOCH_S) & 0xFFFFFFFF
    return seconds * 1_000_000_000 + (((ntp & 0xFFFFFFFF) * 1_000_000_000 + (1 << 31)) >> 32)


def _seal(packed: bytearray, *, key: bytes, size: int, flags: int) -> bytes:
    padding = size - MIN_BYTES
    if padding and not MIN_PADDED_BYTES <= size <= MAX_BYTES:
        raise MisuseError(f"a STAMP packet cannot have {size} bytes")
    packed[_HMAC_AT + 4 : MIN_BYTES] = _digest(packed, key=key)
    if padding:
        packed += struct.pack("!BBH", flags, _PADDING, padding - 4) + bytes(padding - 4)
    return bytes(packed)


def _digest(data: bytes | bytearray, *, key: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) over what RFC 8972, section 4.8, covers; the key's halves are hashed once."""
    begun = _begin_hmac(key)
    inner, outer = begun[0].copy(), begun[1].copy()
    inner.update(data[:4] + data[44:_HMAC_AT])
    outer.update(inner.digest())
    return outer.digest()[:_HMAC_BYTES]


@functools.lru_cache(maxsize=8)
def _begin_hmac(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    return inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


def _check_shape(data: bytes, *, role: int, key: bytes) -> None:
    if len(data) < MIN_BYTES:
        raise RemoteFormatError(f"STAMP: {len(data)} bytes are too few")
    if data[45] != _IDENTITY or data[48] != _VERSION or data[49] != role:
        raise RemoteFormatError("STAMP: no identity of ours in the expected role")
    if not hmac.compare_digest(data[_HMAC_AT + 4 : MIN_BYTES], _digest(data, key=key)):
        raise StrangerError("STAMP: wrong HMAC")
    if len(data) == MIN_BYTES:
        return
    if len(data) < MIN_PADDED_BYTES or len(data) > MAX_BYTES:
        raise RemoteFormatError(f"STAMP: {len(data)} bytes cannot be padded right")
    _, kind, length = struct.unpack_from("!BBH", data, MIN_BYTES)
    if kind != _PADDING or length != len(data) - MIN_PADDED_BYTES:
        raise RemoteFormatError("STAMP: something else than padding follows the HMAC")


def _check_layout(data: bytes, *, sources: tuple[int, ...]) -> None:
    for at, header in _LAYOUT:
        if data[at : at + 3] != header:
            raise RemoteFormatError("STAMP: the TLVs are not in our order")
    if data[149] not in sources or data[150:152] != b"\0\x10":
        raise RemoteFormatError("STAMP: the location names no source address of the right kind")


def _identify(data: bytes, sequence: int) -> tuple[int, int]:
    """Check and boot."""
    check, boot, repeated = _IDENTIFIED.unpack_from(data, CHECK_OFFSET)
    if check >> 63:
        raise RemoteFormatError("STAMP: a check id has 63 bits")
    if repeated != sequence:
        raise RemoteFormatError("STAMP: the sequence number differs from the one in the identity")
    return check, boot


@functools.lru_cache(maxsize=_REMEMBERED)
def _pack_source(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@functools.lru_cache(maxsize=_REMEMBERED)
def _source_text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


@functools.lru_cache(maxsize=_REMEMBERED)
def _encode_name_once(name: str) -> bytes:
    return encode_name(name)


@functools.lru_cache(maxsize=_REMEMBERED)
def _decode_name(raw: bytes) -> str:
    try:
        name = raw.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise RemoteFormatError("STAMP: the responder's name is not UTF-8") from error
    if not name.isprintable():
        raise RemoteFormatError("STAMP: the responder's name is not printable")
    return name
