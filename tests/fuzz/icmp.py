"""Echoes, errors, cookies and IPv4 headers, one at a time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from netprobe.errors import RemoteFormatError
from netprobe.wire import icmp, paris

KEY = b"the key of the fuzzer"
COOKIE = icmp.encode_cookie(icmp.Cookie(check=7, boot=1, sequence=2), key=KEY)
ECHO = icmp.encode_echo_request(version=4, identifier=1, sequence=2, data=COOKIE)
HEADER = bytes.fromhex("45000034000040004001000a0a0100020a020002")
PROTOCOLS = (icmp.PROTOCOL_ICMP, icmp.PROTOCOL_ICMPV6, icmp.PROTOCOL_TCP, icmp.PROTOCOL_UDP)
SENT = {
    4: paris.Sent(icmp.PROTOCOL_ICMP, "10.1.0.2", "10.2.0.2", ECHO),
    6: paris.Sent(icmp.PROTOCOL_ICMPV6, "fd00:1::2", "fd00:2::2", ECHO),
}

SEEDS = (
    ECHO,
    icmp.encode_echo_request(version=6, identifier=1, sequence=2, data=COOKIE),
    bytes([3, 13, 0, 0, 0, 0, 0, 0]) + HEADER + ECHO,
    HEADER + ECHO,
    COOKIE,
)


def feed(data: bytes) -> None:
    """Each reader reads the bytes or refuses them."""
    for version, sent in SENT.items():
        with suppress(RemoteFormatError):
            icmp.decode_echo(data, version=version)
        with suppress(RemoteFormatError):
            quote = icmp.decode_error(data, version=version).quote
            for protocol in PROTOCOLS:
                paris.find_rewritten(replace(sent, protocol=protocol), quote)
    try:
        icmp.peek_cookie(data)
        icmp.decode_cookie(data, key=KEY)
    except RemoteFormatError:
        pass
    try:
        icmp.split_ipv4(data)
    except RemoteFormatError:
        return
