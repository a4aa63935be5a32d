"""Scapy reads the same packets: an implementation that shares nothing with ours but the RFCs.

Rule: one side builds, the other reads, and what either says must be equal.
"""

from __future__ import annotations

import ipaddress
import logging

from hypothesis import given
from hypothesis import strategies as st

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # it comments on interfaces; none is used

from scapy.contrib.mpls import MPLS  # noqa: E402
from scapy.contrib.stamp import (  # noqa: E402
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
)
from scapy.layers.inet import (  # noqa: E402
    ICMP,
    IP,
    TCP,
    UDP,
    ICMPExtension_Header,
    ICMPExtension_Object,
)
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6EchoRequest,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.packet import Packet, Raw  # noqa: E402

from netprobe.wire import icmp, stamp  # noqa: E402
from netprobe.wire.paris import Sent, balance, find_rewritten  # noqa: E402

KEY = b"the fleet's key"
U16 = st.integers(1, 2**16 - 1)
V4 = st.integers(1, 2**32 - 2).map(lambda number: str(ipaddress.IPv4Address(number)))
V6 = st.integers(1, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number)))
SINCE_1900_S = 2_208_988_800
"""NTP counts from 1900."""
VERSIONS = st.sampled_from([4, 6])
SEGMENTS = st.sampled_from(["udp", "tcp", "icmp"])
DATA = st.binary(min_size=24, max_size=60)


def packet(version: int, kind: str, source: str, target: str, ports: tuple[int, int], data: bytes) -> Packet:
    """A whole packet by Scapy, checksums and all."""
    head = IP(src=source, dst=target, ttl=7) if version == 4 else IPv6(src=source, dst=target, hlim=7)
    match kind, version:
        case "udp", _:
            made = head / UDP(sport=ports[0], dport=ports[1]) / Raw(data)
        case "tcp", _:
            made = head / TCP(sport=ports[0], dport=ports[1], seq=7, flags="S", options=[("MSS", 1460)])
        case _, 4:
            made = head / ICMP(id=ports[0], seq=ports[1]) / Raw(data)
        case _:
            made = head / ICMPv6EchoRequest(id=ports[0], seq=ports[1], data=data)
    return type(head)(bytes(made))


def error_about(version: int, quoted: bytes) -> bytes:
    """Time exceeded, from its ICMP header on."""
    if version == 4:
        return bytes(ICMP(type=11, code=0) / Raw(quoted))
    whole = IPv6(src="fd00::1", dst="fd00::2") / ICMPv6TimeExceeded() / Raw(quoted)
    return bytes(whole)[icmp.IPV6_HEADER_BYTES :]


@given(version=VERSIONS, kind=SEGMENTS, v4=st.tuples(V4, V4), v6=st.tuples(V6, V6), ports=st.tuples(U16, U16),
       data=DATA)  # fmt: skip
def test_a_quote_is_read_as_scapy_wrote_it_and_nobody_rewrote_it(
    version: int, kind: str, v4: tuple[str, str], v6: tuple[str, str], ports: tuple[int, int], data: bytes
) -> None:
    source, target = v4 if version == 4 else v6
    quoted = packet(version, kind, source, target, ports, data)
    error = icmp.decode_error(error_about(version, bytes(quoted)), version=version)
    quote = error.quote
    assert (error.icmp_type, error.icmp_code) == ((11, 0) if version == 4 else (3, 0))
    assert (quote.source, quote.destination, quote.ttl) == (source, target, 7)
    assert quote.protocol == (quoted.proto if version == 4 else quoted.nh)
    assert quote.transport == bytes(quoted.payload)
    sent = Sent(quote.protocol, source, target, quote.transport)
    assert find_rewritten(sent, quote) == ()


@given(version=VERSIONS, kind=st.sampled_from(["udp", "tcp"]), ports=st.tuples(U16, U16), data=DATA,
       other=st.integers(2, 250), port=U16)  # fmt: skip
def test_what_a_translator_changed_is_named(
    version: int, kind: str, ports: tuple[int, int], data: bytes, other: int, port: int
) -> None:
    """Scapy computes the checksums of the packet that the translator made."""
    source, target, elsewhere = ("10.0.0.1", "10.0.1.1", f"192.0.2.{other}")
    if version == 6:
        source, target, elsewhere = ("fd00::1", "fd00:1::1", f"2001:db8::{other}")
    sent_bytes = bytes(packet(version, kind, source, target, ports, data).payload)
    passed_on = packet(version, kind, elsewhere, target, (port, ports[1]), data)
    quote = icmp.decode_error(error_about(version, bytes(passed_on)), version=version).quote
    sent = Sent(quote.protocol, source, target, sent_bytes)
    found = find_rewritten(sent, quote)
    assert found[0] == f"source {ipaddress.ip_address(elsewhere)}"
    assert (f"source port {port}" in found) == (port != ports[0])
    head = IP(src=source, dst=target) if version == 4 else IPv6(src=source, dst=target)
    right = bytes(type(head)(bytes(head / type(passed_on.payload)(bytes(passed_on.payload)))).payload)
    mended = icmp.Quote(quote.protocol, source, target, 7, sent_bytes[:4] + quote.transport[4:])
    at = 6 if kind == "udp" else 16
    is_same = sent_bytes[at : at + 2] == right[at : at + 2] == quote.transport[at : at + 2]
    assert find_rewritten(sent, mended) == (() if is_same else ("checksum",)), (
        "addresses put back, checksum not"
    )


@given(
    version=VERSIONS, sequence=U16, identifier=U16, other=st.integers(0, 0xFFFF), data=st.binary(max_size=40)
)
def test_scapy_computes_the_same_checksum_for_every_echo_of_a_flow(
    version: int, sequence: int, identifier: int, other: int, data: bytes
) -> None:
    def checksum(number: int, carried: bytes) -> int:
        carried = balance(carried, sequence=number)
        if version == 4:
            ours = icmp.encode_echo_request(version=4, identifier=identifier, sequence=number, data=carried)
            theirs = ICMP(bytes(ICMP(id=identifier, seq=number) / Raw(carried)))
            assert ours == bytes(theirs)
            return int(theirs.chksum)
        echo = ICMPv6EchoRequest(id=identifier, seq=number, data=carried)
        return int(IPv6(bytes(IPv6(src="fd00::1", dst="fd00::2") / echo)).payload.cksum)

    padded = bytes(len(data))
    assert checksum(sequence, data) == checksum(other, padded)


@given(ports=st.tuples(U16, U16), label=st.integers(0, 2**20 - 1), data=DATA)
def test_an_icmp_extension_does_not_disturb_the_quote(
    ports: tuple[int, int], label: int, data: bytes
) -> None:
    """RFC 4884 pads the quote to 128 bytes; MPLS routers append their labels (RFC 4950)."""
    quoted = packet(4, "udp", "10.0.0.1", "10.0.1.1", ports, data)
    stack = ICMPExtension_Object(classnum=1, classtype=1) / MPLS(label=label, s=1, ttl=1)
    extension = bytes(ICMPExtension_Header() / stack)
    message = bytes(ICMP(type=11, length=32) / Raw(bytes(quoted).ljust(128, b"\0"))) + extension
    quote = icmp.decode_error(message, version=4).quote
    length = len(bytes(quoted.payload))
    assert quote.transport[:length] == bytes(quoted.payload)
    assert find_rewritten(Sent(17, "10.0.0.1", "10.0.1.1", bytes(quoted.payload)), quote) == ()


def session_id(check: int) -> int:
    """The SSID (RFC 8972, section 3): 16 bits of the check id, never zero."""
    return check % 0xFFFF + 1


@given(
    sequence=st.integers(0, 2**32 - 1), sent_ns=st.integers(1, 2 * 10**18), check=st.integers(0, 2**63 - 1)
)
def test_our_stamp_packets_are_stamp_packets(sequence: int, sent_ns: int, check: int) -> None:
    sent, received, answered = (stamp.ntp_of(sent_ns + held_ns) for held_ns in (0, 100, 200))
    request = stamp.Request(check=check, boot=1, sequence=sequence, sent_ntp=sent, sent_count=2)
    read = STAMPSessionSenderTestUnauthenticated(stamp.encode_request(request, key=KEY))
    assert (read.seq, read.ssid) == (sequence, session_id(check))
    assert abs(float(read.ts - SINCE_1900_S) - sent_ns / 1e9) < 1e-3
    assert [one.type for one in read.tlv_objects] == [252, 2, 5, 8]
    answer = stamp.StampAnswer(
        check=check, boot=1, sequence=sequence, sent_ntp=sent, received_ntp=received,
        answered_ntp=answered, sent_count=2, received_count=2, answered_count=7,
        observed_source="10.1.0.2", observed_port=40_000, reflector_port=9771, observed_ttl=61,
        answered_by="prod/w1/pod",
    )  # fmt: skip
    found = STAMPSessionReflectorTestUnauthenticated(stamp.encode_answer(answer, key=KEY))
    assert (found.seq_sender, found.ttl_sender, found.ssid) == (sequence, 61, session_id(check))
    assert [one.type for one in found.tlv_objects] == [252, 2, 5, 8]
