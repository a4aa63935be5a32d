"""Packets as text: only layers, literals and payload are read, and nothing is run, looked up or sent."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.craft.packet_text import MAX_LAYERS, MAX_TEXT, parse_packet
from netprobe.errors import InputError

SOURCE, TARGET = "10.1.0.1", "10.2.0.2"


def read(text: str) -> bytes:
    return bytes(parse_packet(text, source=SOURCE, target=TARGET))


def test_layers_with_literals_become_a_packet_from_the_agent_to_the_target() -> None:
    packet = parse_packet('IP(ttl=9)/UDP(sport=4000,dport=53)/"hi"/b"\\x01"', source=SOURCE, target=TARGET)
    assert (packet.src, packet.dst, packet.ttl) == (SOURCE, TARGET, 9)
    assert (packet["UDP"].sport, packet["UDP"].dport) == (4000, 53)
    assert bytes(packet["UDP"].payload) == b"hi\x01"


def test_layers_may_be_values_and_options_lists_of_tuples() -> None:
    assert b"example" in read('IP()/UDP()/DNS(qd=DNSQR(qname="www.example.org"))')
    assert read('IP()/TCP(flags="S",options=[("MSS",1460)])')[20 + 12] >> 4 == 6


def test_an_encapsulated_packet_names_its_own_addresses() -> None:
    inner = 'IP(src="10.9.0.1",dst="10.9.0.2")/ICMP()'
    frame = f'Ether(src="02:00:00:00:00:01",dst="ff:ff:ff:ff:ff:ff")/{inner}'
    assert len(read(f"IP()/UDP()/VXLAN(vni=7)/{frame}")) == 20 + 8 + 8 + 14 + 28


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true')", "begins with IP()"),
        ("IP()/__import__('os')", "unknown layer __import__"),
        ("IP(ttl=open('/etc/passwd'))", "unknown layer open"),
        ("IP(ttl=(lambda: 9)())", "is not a layer, text or bytes"),
        ("IP(ttl=[9 for _ in 'x'])", "is not a number, text, bytes, list or layer"),
        ("IP(ttl=1+1)", "is not a number, text, bytes, list or layer"),
        ("IP(ttl=True)", "is not a number, text, bytes, list or layer"),
        ("IP(**{'ttl': 9})", "takes each field once, as name=value"),
        ("IP('x')", "takes fields as name=value only"),
        ("IP()/UDP", "is not a layer, text or bytes"),
        ("IP()/UDP().payload", "is not a layer, text or bytes"),
        ("IP()*2", "begins with IP()"),
        ("IP(); IP()", "is not layers such as"),
        ("IP(", "is not layers such as"),
        ("", "is not layers such as"),
        ("IPv6()/UDP()", "begins with IP(), as 10.2.0.2 is asked"),
        ("IP(dst='10.3.0.3')", "dst is not 10.2.0.2"),
        ("IP(src='192.0.2.1')", "src is not 10.1.0.1"),
        ("IP(colour=1)", "IP has no field colour; it has version"),
        (
            "IP()/ARP(hwsrc='02:00:00:00:00:01',psrc='a.b',pdst='10.9.0.1')",
            "ARP.psrc: 'a.b' is not an address",
        ),
        ("IP()/IP(src='10.9.0.0/16',dst='10.9.0.1')", "IP.src: '10.9.0.0/16' is not an address"),
        ("IP()/IP()", "an inner IP needs src and dst"),
        ("IP()/GRE()/Ether(src='02:00:00:00:00:01')", "an inner Ether needs dst"),
        ("IP()/UDP(dport='no such service')", "UDP cannot be built"),
        ("IP()" + "/UDP()" * MAX_LAYERS, "has more than"),
        ("IP()/'" + "x" * MAX_TEXT + "'", "is longer than"),
        ("-" * 1_900 + "1", "begins with IP()"),
    ],
)
def test_anything_else_is_one_clear_error(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("--packet")
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="IPUDTC()/=,'\"\\[]{}:.-+*_0123456789 abdportl", max_size=60))
def test_no_text_does_more_than_be_refused_or_read(text: str) -> None:
    with suppress(InputError):
        assert read(text)[0] >> 4 == 4
