"""Packets that an asker built: bounds that an agent keeps, and values that are read as they were written."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, IPOption_RR
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrRouting

from netprobe.engine.drivers.packets import is_same_flow
from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Probe
from netprobe.probes import registry
from netprobe.probes.packets import (
    MAX_BYTES,
    MAX_HEARD_BYTES,
    MAX_PACKETS,
    HeardPacket,
    SentPacket,
    find_protocol,
    payloads_of,
    read_header,
    read_heard,
    read_sent,
    write_heard,
    write_payloads,
    write_sent,
)

ADDRESSES = st.sampled_from(["10.0.0.1", "fd00::1"])
NUMBERS = st.integers(0, 2**62)


def probe(*packets: bytes, port: int = 500, **options: str) -> Probe:
    told = {key.replace("_", "-"): value for key, value in options.items()}
    told.setdefault("send", write_payloads(packets))
    return Probe("packets", 0 if told.get("via") == "ip" else port, options=tuple(sorted(told.items())))


@given(st.lists(st.binary(min_size=1, max_size=700), min_size=1, max_size=MAX_PACKETS))
def test_payloads_are_read_as_they_were_written(packets: list[bytes]) -> None:
    asked = probe(*packets)
    registry.validate(asked)
    assert payloads_of(asked) == tuple(packets)
    assert find_protocol(asked) == "udp"


@given(NUMBERS, ADDRESSES, st.integers(0, 65_535), st.binary(max_size=9_000), st.integers(0, 7))
def test_values_are_read_as_they_were_written(
    wall_ns: int, source: str, port: int, data: bytes, number: int
) -> None:
    sent, heard = SentPacket(wall_ns, source, port, number), HeardPacket(wall_ns, source, port, data)
    values = (write_sent(sent), write_heard(heard), "other words")
    assert read_sent(values) == (sent,)
    assert read_heard(values) == (HeardPacket(wall_ns, source, port, data[:MAX_HEARD_BYTES]),)


@pytest.mark.parametrize(
    "value", ["heard 1 a 2", "heard x a 2 AA==", "heard 1 a 2 !", "sent 1 a 2 x", "sent 1"]
)
def test_values_that_cannot_be_read_are_refused(value: str) -> None:
    with pytest.raises(RemoteFormatError, match=r"^packets: "):
        read_sent((value,)), read_heard((value,))


WHOLE = IP(src="10.0.0.1", dst="10.0.0.2")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (probe(send=""), "options.send: is not 1–8 packets of together at most 6000 bytes"),
        (probe(send="?"), "options.send: is not base64"),
        (probe(*[b"x"] * (MAX_PACKETS + 1)), "options.send: is not 1–8 packets"),
        (probe(b"x" * (MAX_BYTES + 1)), "options.send: is not 1–8 packets"),
        (probe(b"x", via="tcp"), "options.via: 'tcp' is neither udp nor ip"),
        (probe(b"x", port=0), "port: port 0 is not within 1–65535"),
        (probe(b"x", answers="0"), "options.answers: '0' is not within 1–32"),
        (probe(b"x", source_port="1-2"), "options.source-port: is one port, and of udp only"),
        (probe(b"x", via="ip"), "options.send: packet 1: is not an IP packet"),
        (probe(bytes(WHOLE / UDP()) + b"x", via="ip"), "options.send: packet 1: has 29 bytes and says 28"),
        (probe(bytes(WHOLE.__class__(src="10.0.0.1", dst="10.0.0.2", proto=89)), via="ip"),
         "options.send: packet 1: is of protocol 89; agents send icmp, ipip"),
        (probe(bytes(IP(dst="10.0.0.2", options=IPOption_RR(length=11, routers=[])) / UDP()), via="ip"),
         "options.send: packet 1: has IP options"),
        (probe(bytes(IPv6(dst="fd00::2") / IPv6ExtHdrRouting() / UDP()), via="ip"),
         "options.send: packet 1: is of protocol 43"),
    ],
)  # fmt: skip
def test_what_an_agent_does_not_send_is_one_error(asked: Probe, said: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.validate(asked)
    assert str(caught.value).startswith(f"probe.{said}")


def test_a_whole_packet_shows_what_is_checked() -> None:
    v4 = read_header(bytes(WHOLE / ICMP(id=7)), where="here")
    assert (v4.version, v4.protocol, v4.source, v4.target) == (4, 1, "10.0.0.1", "10.0.0.2")
    v6 = read_header(bytes(IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest(id=7)), where="here")
    assert (v6.version, v6.protocol, v6.source, v6.target) == (6, 58, "fd00::1", "fd00::2")
    assert find_protocol(probe(bytes(WHOLE / ICMP()), via="ip")) == "icmp"


@given(st.binary(max_size=80))
def test_no_bytes_make_the_reader_of_headers_fail_otherwise(data: bytes) -> None:
    asked = Probe("packets", options=(("send", base64.b64encode(data).decode()), ("via", "ip")))
    try:
        registry.validate(asked)
    except InputError as error:
        assert "\n" not in str(error)


def test_an_answer_is_of_the_same_flow() -> None:
    assert is_same_flow(17, bytes(UDP(sport=1, dport=2)), bytes(UDP(sport=2, dport=1)))
    assert not is_same_flow(17, bytes(UDP(sport=1, dport=2)), bytes(UDP(sport=1, dport=2)))
    assert is_same_flow(1, bytes(ICMP(id=7)), bytes(ICMP(type=0, id=7)))
    assert not is_same_flow(1, bytes(ICMP(id=7)), bytes(ICMP(type=0, id=8)))
    assert is_same_flow(47, b"", b"")
