"""STAMP codec (RFC 8762): UDP test packets with TLVs (RFC 8972), always in the same order.

Rules:

- The layout is fixed, so that a packet is one ``struct`` and a thousand packets are one array::

      offset  size
           0    44  base packet, unauthenticated mode (RFC 8762, sections 4.2.1 and 4.3.1)
          44    96  Identity TLV, private type 252: version, role, hint, check, boot, sequence, name, nonce
         140    28  Location TLV, type 2 (RFC 8972, section 4.2) with one Source IP Address sub-TLV
         168    16  Direct Measurement TLV, type 5 (section 4.5): the session's counters
         184    20  HMAC TLV, type 8 (section 4.8)
         204     …  Extra Padding TLV, type 1 (section 4.1), for larger packets

- An answer has exactly the size of its request (RFC 8762, section 4.3: symmetric).
- The HMAC covers the base's sequence number and every TLV before it (RFC 8972, section 4.8), not the
  timestamps; the sender's sequence number is repeated in the Identity TLV, so an answer proves which request
  it belongs to. A packet with a wrong HMAC raises :class:`StrangerError`.
- Version 2 is sealed with a key of asker and responder (:mod:`netprobe.wire.pair_keys`). The last 72 bytes of
  the Identity TLV are a name (64 bytes: the asker's in a request, the responder's in an answer), the
  responder's nonce (4 bytes), which a request repeats, and in a request the second of its sending (4 bytes,
  Unix time; T1 is not proven). One that was recorded before the responder started has neither its nonce nor a
  second after its start. Version 1 is that of builds with one key for the whole fleet: there the 72 bytes are
  empty in a request and the responder's name in an answer.
- Integers are in network byte order; times are Unix wall time in nanoseconds, on the wire NTP's 64 bits.

The reflector is stateful (RFC 8762, section 4.3): with S sent, C received by the reflector and R answers
received, S − C were lost on the way out and C − R on the way back.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import struct
from dataclasses import dataclass
from hmac import compare_digest
from typing import NamedTuple

from netprobe.errors import MisuseError, RemoteFormatError

MIN_BYTES = 204
"""UDP payload of the smallest packet."""
MIN_PADDED_BYTES = MIN_BYTES + 4
"""The next size above :data:`MIN_BYTES`, because padding is a separate TLV."""
MAX_BYTES = 65_000
NAME_BYTES = 72
"""Of a responder's name in version 1."""
SHORT_NAME_BYTES = 64
"""Of any name in version 2."""

HINT_OFFSET = 44 + 4 + 2
CHECK_OFFSET = HINT_OFFSET + 2
"""Offsets of hint and check id, for packet filters and for readers of quotes and of columns of packets."""

FLEET_VERSION, PAIR_VERSION = 1, 2
"""One key for the whole fleet (the previous build), and one for each asker and responder."""
_ROLE_REQUEST, _ROLE_ANSWER, _ROLE_ASTRAY = 1, 2, 3
_IDENTITY, _LOCATION, _DIRECT, _HMAC, _PADDING = 252, 2, 5, 8, 1
_SOURCE_ANY, _SOURCE_V4, _SOURCE_V6 = 7, 8, 9
_SOURCE_SEEN = (_SOURCE_V4, _SOURCE_V6)
_UNRECOGNISED = 0x80  # RFC 8972, section 4: the sender sets U, the reflector clears it
_ERROR_ESTIMATE = 22 << 8 | 1  # RFC 4656, section 4.1.2: unsynchronised, NTP format, 1·2^(22-32) s ≈ 1 ms
_NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
_NTP_EPOCH, _NTP_EPOCH_NS = _NTP_EPOCH_S << 32, _NTP_EPOCH_S * 1_000_000_000
_ERA_NS = (1 << 32) * 1_000_000_000
_HMAC_AT = 184
_HMAC_BYTES = 16
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
"""RFC 2104, section 2: both pads, as translations of a key's bytes."""
_U32, _U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_NEGATIVE = 1 << 63
"""A difference of two timestamps from this size on is negative (RFC 5905, section 6: modulo 2^64)."""

_REQUEST_FIELDS = struct.Struct("!IQ32x" "x3s2sHQII64sII" "x3s4xxB2s16x" "x3sI8x" "x3s16s")  # fmt: skip
_ANSWER_FIELDS = struct.Struct("!4xQ4xQIQ4xB3x" "x3s2sHQII72s" "x3sHHxB2s16s" "x3sIII" "x3s16s")  # fmt: skip
"""Fields that are read of a request and of an answer, in the order of the table above, without flags, error
estimates and SSID. Base of a request: sequence number, timestamp. Base of an answer: timestamp, receive
timestamp, and the repeated sequence number, timestamp and TTL of the request."""
_TIME_AT, _TIME = 4, struct.Struct("!Q")
URGENT, URGENT_IN_FRAGMENTS = 1, 3
"""The hint of a request whose source waits for the answer, and of one whose answer may leave in fragments as
it came; the hint of an answer is an MTU. Zero means no hint; older versions ignore hints that they do not
know."""
_URGENT_HINTS = frozenset((URGENT, URGENT_IN_FRAGMENTS))
_IDENTIFIED, *_LAYOUT = b"\xfc\0\x5c", b"\2\0\x18", b"\0\x10", b"\5\0\x0c", b"\x08\0\x10"
"""Types and lengths: Identity, Location, the length of its address, Direct Measurement, HMAC."""
_LOCATED, _SIXTEEN, _COUNTED, _SEALED = _LAYOUT
_REQUEST_ROLE, _ANSWER_ROLE = bytes((FLEET_VERSION, _ROLE_REQUEST)), bytes((FLEET_VERSION, _ROLE_ANSWER))
_PAIR_REQUEST_ROLE, _PAIR_ANSWER_ROLE = (
    bytes((PAIR_VERSION, _ROLE_REQUEST)),
    bytes((PAIR_VERSION, _ROLE_ANSWER)),
)
_ASTRAY_ROLE = bytes((PAIR_VERSION, _ROLE_ASTRAY))
_REQUEST_ROLES = frozenset((_REQUEST_ROLE, _PAIR_REQUEST_ROLE))
_ANSWER_ROLES = frozenset((_ANSWER_ROLE, _PAIR_ANSWER_ROLE, _ASTRAY_ROLE))
_REQUEST = struct.Struct("!IQHH28x" "6sHQII64sII" "32sI8x" "4s16x")  # fmt: skip
_ANSWER = struct.Struct("!IQHHQIQH2xB3x" "6sHQII72s" "4sHH24sIII" "4s16x")  # fmt: skip
"""The same for writing, with constant fields combined and zeros left out."""
_REQUESTED, _PAIR_REQUESTED = (
    struct.pack("!B3s2s", _UNRECOGNISED, _IDENTIFIED, role) for role in (_REQUEST_ROLE, _PAIR_REQUEST_ROLE)
)
_ANSWERED, _PAIR_ANSWERED, _ASTRAY_ANSWERED = (
    struct.pack("!B3s2s", 0, _IDENTIFIED, role) for role in (_ANSWER_ROLE, _PAIR_ANSWER_ROLE, _ASTRAY_ROLE)
)
_NONCE = slice(SHORT_NAME_BYTES, SHORT_NAME_BYTES + 4)
"""Of an answer, in its name."""
_VERSION_AT, _ASKER = 48, slice(68, 132)
_ANSWER_HEAD = struct.Struct("!48x2s2xQII64s")
"""Role, check, boot, sequence and name of an answer, before anything of it is proven."""
_NOWHERE = struct.pack(
    "!B3s4xBB2s16xB3s",
    *(_UNRECOGNISED, _LOCATED, _UNRECOGNISED, _SOURCE_ANY, _SIXTEEN, _UNRECOGNISED, _COUNTED),
)
_PLACE = struct.pack("!B3s", 0, _LOCATED)
_REQUEST_SEAL, _ANSWER_SEAL = (struct.pack("!B3s", flags, _SEALED) for flags in (_UNRECOGNISED, 0))
_make = tuple.__new__
"""A named tuple without its own ``__new__``, which takes several times as long."""
_CACHED = 4_096
"""Number of keys, names and addresses whose encoding is cached."""


class StrangerError(RemoteFormatError):
    """A packet whose HMAC was not made with our key; it is ignored."""


class Seal(NamedTuple):
    """What requests to one target are sealed with, and their answers opened."""

    key: bytes
    asker: bytes = b""
    """Our own name (:func:`short_name`); empty with the key of a whole fleet."""


class Request(NamedTuple):
    """A request of a Session-Sender; a tuple, because one is made per packet."""

    check: int
    """The check's 63-bit id; with *boot*, it identifies the session."""
    boot: int
    """32 random bits of the asking process, so that a restart begins a new session."""
    sequence: int
    """1, 2, 3 … within the session, 32 bits."""
    sent_ntp: int
    """T1 as a 64-bit NTP timestamp (:func:`ntp_of`); 0 until it is marked."""
    sent_count: int
    """Number of requests that the sender has sent in this session, including this one."""
    is_urgent: bool = False
    """The source waits for the answer, so the reflector must not delay it to answer in batches."""
    asker: bytes = b""
    """Its name (:func:`short_name`), by which the responder finds the key; empty in version 1."""
    nonce: int = 0
    """The responder's, as far as the asker knows it; 0 where it does not."""
    sent_s: int = 0
    """When it was sealed, in whole seconds of Unix time by the asker's clock; 0 where it does not say."""

    @property
    def sent_ns(self) -> int:
        """T1 as Unix time."""
        return unix_of(self.sent_ntp)


class StampAnswer(NamedTuple):
    """The answer of a Session-Reflector to one request; a tuple, because one is made per packet."""

    check: int
    boot: int
    sequence: int
    """The sender's sequence number."""
    sent_ntp: int
    """T1, copied from the request; this and the next two are NTP timestamps (:func:`ntp_of`)."""
    received_ntp: int
    """T2, when the request arrived at the reflector."""
    answered_ntp: int
    """T3, when the answer left the reflector; 0 until it is marked."""
    sent_count: int
    received_count: int
    """C: number of requests of this session that the reflector received, including this one."""
    answered_count: int
    """Number of requests that it answered, including this one; also the answer's own sequence number."""
    observed_source: str
    """The request's source address as the reflector saw it."""
    observed_port: int
    reflector_port: int
    observed_ttl: int
    """TTL or hop limit of the request on arrival; 0 if the reflector could not see it."""
    answered_by: str
    """The reflector's agent id."""
    told_mtu: int = 0
    """The MTU that a router reported to the reflector about an answer of this session; 0 if none did."""
    is_paired: bool = False
    """Whether it is of version 2."""
    nonce: int = 0
    """The reflector's, where the request did not repeat it; else 0."""
    is_astray: bool = False
    """Whether the request was sealed for another agent: the reflector says only who it is."""

    @property
    def dwell_ns(self) -> int:
        """Time that the reflector held the request: T3 − T2, exact to the nanosecond, never negative."""
        held = (self[5] - self[4]) & _U64
        return (held * 1_000_000_000 + (1 << 31)) >> 32 if held < _NEGATIVE else 0


def encode_request(
    request: Request, *, key: bytes, size: int = MIN_BYTES, in_fragments: bool = False
) -> bytes:
    """A test packet of *size* bytes of UDP payload; *in_fragments* lets its answer be fragmented, too."""
    hint = URGENT_IN_FRAGMENTS if in_fragments else URGENT
    check, boot, sequence, sent, count, is_urgent, asker, nonce, sent_s = request
    # fmt: off
    packed = _REQUEST.pack(
        sequence, sent, _ERROR_ESTIMATE, check % 0xFFFF + 1,
        _PAIR_REQUESTED if asker else _REQUESTED, is_urgent and hint, check, boot, sequence,
        asker, nonce, sent_s & _U32, _NOWHERE, count & _U32, _REQUEST_SEAL,
    )
    # fmt: on
    return _seal(packed, key, size, _UNRECOGNISED)


def encode_answer(answer: StampAnswer, *, key: bytes, size: int = MIN_BYTES) -> bytes:
    """The reflected packet; *size* is the size of the request it answers."""
    # fmt: off
    (
        check, boot, sequence, sent_ntp, received_ntp, answered_ntp, sent, received, answered,
        address, observed_port, port, ttl, answered_by, told_mtu, is_paired, nonce, is_astray,
    ) = answer
    if is_paired:
        head = _ASTRAY_ANSWERED if is_astray else _PAIR_ANSWERED
        name = _pad_name_once(answered_by) + nonce.to_bytes(4, "big")
    else:
        head, name = _ANSWERED, _encode_name_once(answered_by)
    packed = _ANSWER.pack(
        answered & _U32, answered_ntp, _ERROR_ESTIMATE, check % 0xFFFF + 1,
        received_ntp, sequence, sent_ntp, _ERROR_ESTIMATE, ttl,
        head, told_mtu, check, boot, sequence, name,
        _PLACE, port, observed_port, _pack_source(address),
        sent & _U32, received & _U32, answered & _U32, _ANSWER_SEAL,
    )
    # fmt: on
    return _seal(packed, key, size, 0)


def may_fragment(head: bytes | memoryview) -> bool:
    """Whether the answer to a request, which is proven, may leave in fragments."""
    return int.from_bytes(head[HINT_OFFSET : HINT_OFFSET + 2], "big") == URGENT_IN_FRAGMENTS


def peek_asker(data: bytes) -> bytes | None:
    """Who asks, unproven, as :attr:`Request.asker`; None if it is not a request of a known version."""
    role = data[_VERSION_AT : _VERSION_AT + 2]
    if role == _PAIR_REQUEST_ROLE:
        return data[_ASKER].rstrip(b"\0")
    return b"" if role == _REQUEST_ROLE else None


def read_astray(data: bytes, *, size: int) -> Request | None:
    """A request that was sealed for another agent, unproven; None if it may not be answered."""
    if not (size == MIN_BYTES or MIN_PADDED_BYTES <= size <= MAX_BYTES):
        return None
    sequence, sent, identity, role, _, check, boot, identified, asker, nonce, *_ = (
        _REQUEST_FIELDS.unpack_from(data)
    )
    if identity != _IDENTIFIED or role != _PAIR_REQUEST_ROLE or check >> 63 or identified != sequence:
        return None
    return Request(check, boot, sequence, sent, 0, asker=asker.rstrip(b"\0"), nonce=nonce)


class AnswerHead(NamedTuple):
    """What an answer says that it answers, unproven."""

    is_astray: bool
    check: int
    boot: int
    sequence: int
    name: bytes
    """The responder's (:func:`short_name`) in version 2."""


def peek_answer(data: bytes) -> AnswerHead | None:
    """Read what is needed to find the key of an answer; None if it is none."""
    if len(data) < MIN_BYTES:
        return None
    role, check, boot, sequence, name = _ANSWER_HEAD.unpack_from(data)
    if role not in _ANSWER_ROLES:
        return None
    return _make(AnswerHead, (role == _ASTRAY_ROLE, check, boot, sequence, name.rstrip(b"\0")))


def decode_request(data: bytes, *, key: bytes, size: int | None = None) -> Request:
    """Read a test packet; :class:`RemoteFormatError` if it is not one of ours.

    *size* is that of the whole packet if *data* has only its first :data:`MIN_PADDED_BYTES` bytes.
    """
    size = len(data) if size is None else size
    if size < MIN_BYTES:
        raise _too_few(size)
    # fmt: off
    (
        sequence, sent, identity, role, hint, check, boot, identified, asker, nonce, sent_s,
        location, source_kind, sixteen, counters, sent_count, seal, digest,
    ) = _REQUEST_FIELDS.unpack_from(data)
    # fmt: on
    if identity != _IDENTIFIED or role not in _REQUEST_ROLES:
        raise RemoteFormatError("STAMP: no netprobe identity in the expected role")
    if not compare_digest(digest, _digest(data, key)):
        raise StrangerError("STAMP: wrong HMAC")
    if size != MIN_BYTES:
        _check_padding(data, size)
    if [location, sixteen, counters, seal] != _LAYOUT or source_kind != _SOURCE_ANY:
        raise RemoteFormatError("STAMP: the TLVs are not those of a request, or not in our order")
    if check >> 63:
        raise RemoteFormatError("STAMP: a check id has 63 bits")
    if identified != sequence:
        raise RemoteFormatError("STAMP: the sequence number differs from the one in the identity")
    if role == _REQUEST_ROLE:
        asker, nonce, sent_s = b"", 0, 0
    asker = asker.rstrip(b"\0")
    return _make(
        Request, (check, boot, sequence, sent, sent_count, hint in _URGENT_HINTS, asker, nonce, sent_s)
    )


def decode_answer(data: bytes, *, key: bytes, size: int | None = None) -> StampAnswer:
    """Read a reflected packet, as :func:`decode_request` does."""
    size = len(data) if size is None else size
    if size < MIN_BYTES:
        raise _too_few(size)
    # fmt: off
    (
        answered, received, sequence, sent, ttl, identity, role, told_mtu, check, boot, identified, name,
        location, port, observed_port, source_kind, sixteen, source, counters, sent_count, received_count,
        answered_count, seal, digest,
    ) = _ANSWER_FIELDS.unpack_from(data)
    # fmt: on
    if identity != _IDENTIFIED or role not in _ANSWER_ROLES:
        raise RemoteFormatError("STAMP: no netprobe identity in the expected role")
    if not compare_digest(digest, _digest(data, key)):
        raise StrangerError("STAMP: wrong HMAC")
    if size != MIN_BYTES:
        _check_padding(data, size)
    if [location, sixteen, counters, seal] != _LAYOUT or source_kind not in _SOURCE_SEEN:
        raise RemoteFormatError("STAMP: the TLVs are not those of an answer, or not in our order")
    if check >> 63:
        raise RemoteFormatError("STAMP: a check id has 63 bits")
    if identified != sequence:
        raise RemoteFormatError("STAMP: the sequence number differs from the one in the identity")
    is_paired, nonce = role != _ANSWER_ROLE, 0
    if is_paired:
        nonce = int.from_bytes(name[_NONCE], "big")
        name = name[:SHORT_NAME_BYTES]
    # fmt: off
    return _make(StampAnswer, (
        check, boot, sequence, sent, received, answered,
        sent_count, received_count, answered_count, _source_text(source_kind, source),
        observed_port, port, ttl, _decode_name(name), told_mtu, is_paired, nonce, role == _ASTRAY_ROLE,
    ))
    # fmt: on


def mark(packet: bytearray, *, at_ns: int) -> None:
    """Write the time of sending (T1 or T3) into a packet; the HMAC does not cover it, so it comes last."""
    _TIME.pack_into(packet, _TIME_AT, ntp_of(at_ns))


@dataclass(frozen=True, slots=True)
class QuotedRequest:
    """A request quoted by an ICMP error, not authenticated."""

    sequence: int
    check: int | None
    """None if the router quoted too little."""


def read_quote(data: bytes) -> QuotedRequest | None:
    """Read a quoted, possibly truncated request; None if not even the sequence number was quoted."""
    if len(data) < 4:
        return None
    (sequence,) = struct.unpack_from("!I", data)
    if len(data) < CHECK_OFFSET + 8 or data[45] != _IDENTITY:
        return QuotedRequest(sequence, None)
    (check,) = struct.unpack_from("!Q", data, CHECK_OFFSET)
    return QuotedRequest(sequence, check)


def read_quoted_session(data: bytes) -> tuple[int, int] | None:
    """Check and boot of an answer that an ICMP error quotes; None if too little is quoted."""
    if len(data) < CHECK_OFFSET + 12 or data[45] != _IDENTITY:
        return None
    check, boot = struct.unpack_from("!QI", data, CHECK_OFFSET)
    return check, boot


def encode_name(name: str, *, limit: int = NAME_BYTES) -> bytes:
    """A name in its encoded form, before padding; a long name is its start and a digest of the whole.

    >>> encode_name("prod/w1/pod")
    b'prod/w1/pod'
    >>> len(encode_name("x" * 100))
    72
    """
    raw = name.encode()
    if len(raw) <= limit:
        return raw
    start = raw[: limit - 17].decode(errors="ignore")
    return f"{start}~{hashlib.blake2b(raw, digest_size=8).hexdigest()}".encode()


def is_same_name(expected: str, claimed: str) -> bool:
    """Whether *claimed*, read from a packet, is the encoded form of *expected*."""
    if expected == claimed:
        return True
    raw = claimed.encode()
    return _encode_name_once(expected) == raw or short_name(expected) == raw


def short_name(name: str) -> bytes:
    """A name as packets of version 2 hold it, before padding: at most :data:`SHORT_NAME_BYTES` bytes."""
    return encode_name(name, limit=SHORT_NAME_BYTES)


def ntp_of(unix_ns: int) -> int:
    """Unix nanoseconds as a 64-bit NTP timestamp (RFC 5905, section 6); exact to the nanosecond."""
    return ((unix_ns + _NTP_EPOCH_NS << 32) + 500_000_000) // 1_000_000_000 & _U64


def unix_of(ntp: int) -> int:
    """A 64-bit NTP timestamp as Unix nanoseconds between 1970 and 2106, whatever its era."""
    since_1900_ns = (ntp * 1_000_000_000 + (1 << 31)) >> 32
    return since_1900_ns - (_NTP_EPOCH_NS if ntp >= _NTP_EPOCH else _NTP_EPOCH_NS - _ERA_NS)


def _seal(packed: bytes, key: bytes, size: int, flags: int) -> bytes:
    padding = size - MIN_BYTES
    sealed = packed[: _HMAC_AT + 4] + _digest(packed, key)
    if not padding:
        return sealed
    if not MIN_PADDED_BYTES <= size <= MAX_BYTES:
        raise MisuseError(f"a STAMP packet cannot have {size} bytes")
    return sealed + struct.pack("!BBH", flags, _PADDING, padding - 4) + bytes(padding - 4)


def _digest(data: bytes | bytearray, key: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) over the bytes that RFC 8972, section 4.8, covers.

    Each target has a key of its own, so hashes of keys are not kept: they would take a kilobyte each, and to
    copy them takes as long as to hash the key again.
    """
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(block.translate(_INNER) + data[:4] + data[44:_HMAC_AT]).digest()
    return hashlib.sha256(block.translate(_OUTER) + inner).digest()[:_HMAC_BYTES]


@functools.lru_cache(maxsize=_CACHED)
def begin_hmac(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """HMAC-SHA-256's inner and outer hash of the key (RFC 2104, section 4); copy before use."""
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def _too_few(size: int) -> RemoteFormatError:
    return RemoteFormatError(f"STAMP: {size} bytes are too few")


def _check_padding(data: bytes, size: int) -> None:
    if not MIN_PADDED_BYTES <= size <= MAX_BYTES:
        raise RemoteFormatError(f"STAMP: a padded packet cannot have {size} bytes")
    _, kind, length = struct.unpack_from("!BBH", data, MIN_BYTES)
    if kind != _PADDING or length != size - MIN_PADDED_BYTES:
        raise RemoteFormatError("STAMP: the HMAC is followed by something other than padding")


@functools.lru_cache(maxsize=_CACHED)
def _pack_source(address: str) -> bytes:
    """The sub-TLV of an answer's Location, and the header of the TLV after it."""
    source = ipaddress.ip_address(address).packed
    kind = _SOURCE_V4 if len(source) == 4 else _SOURCE_V6
    return struct.pack("!xB2s16sx3s", kind, _SIXTEEN, source, _COUNTED)


@functools.lru_cache(maxsize=_CACHED)
def _source_text(kind: int, packed: bytes) -> str:
    return str(ipaddress.ip_address(packed if kind == _SOURCE_V6 else packed[:4]))


@functools.lru_cache(maxsize=_CACHED)
def _encode_name_once(name: str) -> bytes:
    return encode_name(name)


@functools.lru_cache(maxsize=_CACHED)
def _pad_name_once(name: str) -> bytes:
    return short_name(name).ljust(SHORT_NAME_BYTES, b"\0")


@functools.lru_cache(maxsize=_CACHED)
def _decode_name(raw: bytes) -> str:
    try:
        name = raw.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise RemoteFormatError("STAMP: the responder's name is not UTF-8") from error
    if not name.isprintable():
        raise RemoteFormatError("STAMP: the responder's name is not printable")
    return name
