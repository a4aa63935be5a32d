"""STAMP requests, answers and quotes: as they come, and under the right seal, which opens what is behind."""

from __future__ import annotations

import hmac

from netprobe.errors import RemoteFormatError
from netprobe.wire import stamp

KEY = b"the key of the fuzzer"
HMAC_AT = stamp.MIN_BYTES - 20
"""The last TLV: four bytes of header and sixteen of HMAC."""
ASKED = stamp.Request(check=7, boot=1, sequence=2, sent_ntp=1 << 32, sent_count=2)
TOLD = stamp.StampAnswer(
    check=7, boot=1, sequence=2, sent_ntp=1 << 32, received_ntp=2 << 32, answered_ntp=3 << 32,
    sent_count=2, received_count=2, answered_count=2, observed_source="10.1.0.2", observed_port=40_000,
    reflector_port=9771, observed_ttl=64, answered_by="prod/w1/pod",
)  # fmt: skip

SEEDS = (
    stamp.encode_request(ASKED, key=KEY),
    stamp.encode_request(ASKED, key=KEY, size=300),
    stamp.encode_answer(TOLD, key=KEY),
    stamp.encode_request(ASKED._replace(asker=stamp.short_name("prod/w2/pod"), nonce=5), key=KEY),
    stamp.encode_answer(TOLD._replace(is_paired=True, nonce=5), key=KEY),
)


def seal(data: bytes) -> bytes:
    """The same packet with the right HMAC in its place (RFC 8972, section 4.8)."""
    covered = data[:4] + data[44:HMAC_AT]
    digest = hmac.digest(KEY, covered, "sha256")[:16]
    return data[: HMAC_AT + 4] + digest + data[stamp.MIN_BYTES :]


def feed(data: bytes) -> None:
    """Each reader reads the bytes or refuses them; a sealed packet that was read has an honest meaning."""
    for packet in (data, seal(data)) if len(data) >= stamp.MIN_BYTES else (data,):
        for decode in (stamp.decode_request, stamp.decode_answer):
            try:
                read = decode(packet, key=KEY)
            except RemoteFormatError:
                continue
            assert 0 <= read.check < 1 << 63
        stamp.read_quote(packet)
        stamp.peek_asker(packet)
        stamp.peek_answer(packet)
