"""Echoes, errors, cookies and IPv4 headers, one at a time."""

from __future__ import annotations

from netprobe.errors import RemoteFormatError
from netprobe.wire import icmp

KEY = b"the key of the fuzzer"
COOKIE = icmp.encode_cookie(icmp.Cookie(check=7, boot=1, sequence=2), key=KEY)
ECHO = icmp.encode_echo_request(version=4, identifier=1, sequence=2, data=COOKIE)
HEADER = bytes.fromhex("45000034000040004001000a0a0100020a020002")

SEEDS = (
    ECHO,
    icmp.encode_echo_request(version=6, identifier=1, sequence=2, data=COOKIE),
    bytes([3, 13, 0, 0, 0, 0, 0, 0]) + HEADER + ECHO,
    HEADER + ECHO,
    COOKIE,
)


def feed(data: bytes) -> None:
    """Each reader reads the bytes or refuses them."""
    for version in (4, 6):
        for decode in (icmp.decode_echo, icmp.decode_error):
            try:
                decode(data, version=version)
            except RemoteFormatError:
                continue
    try:
        icmp.peek_cookie(data)
        icmp.decode_cookie(data, key=KEY)
    except RemoteFormatError:
        pass
    try:
        icmp.split_ipv4(data)
    except RemoteFormatError:
        return
