"""What was sent and heard, written as pcapng and read back by Scapy."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.packet import Raw
from scapy.utils import rdpcap

from netprobe.craft.capture import write_capture
from netprobe.craft.kind import CraftRequest, make_probe
from netprobe.craft.packet_question import make_packet_kind
from netprobe.craft.registry import find_craft_kind
from netprobe.errors import SystemRefusedError
from netprobe.probes.packets import HeardPacket, SentPacket, write_heard, write_sent

TOKEN = bytes(range(32))


def test_payloads_get_their_headers_and_times_back(tmp_path: Path) -> None:
    kind = find_craft_kind("openvpn")
    assert kind is not None
    request = CraftRequest("10.1.0.1", "10.2.0.2", 1194, TOKEN)
    probe = make_probe(kind, request, timeout_ns=10**9)
    values = (
        write_sent(SentPacket(1_700_000_000_000_001_000, "10.1.0.1", 40_000, 0)),
        write_heard(HeardPacket(1_700_000_000_000_900_000, "10.2.0.2", 1194, b"answer")),
    )
    assert write_capture(tmp_path / "a.pcapng", kind, request, probe, values) == 2
    sent, heard = rdpcap(str(tmp_path / "a.pcapng"))
    assert (sent[IP].src, sent[IP].dst, sent[UDP].sport, sent[UDP].dport) == (
        "10.1.0.1",
        "10.2.0.2",
        40_000,
        1194,
    )
    assert bytes(sent[UDP].payload) == kind.build(request)[0]
    assert (heard[IP].src, heard[UDP].sport, heard[UDP].dport) == ("10.2.0.2", 1194, 40_000)
    assert bytes(heard[UDP].payload) == b"answer"
    assert round((float(heard.time) - float(sent.time)) * 1e6) == 899


def test_whole_packets_are_written_as_they_were(tmp_path: Path) -> None:
    kind = make_packet_kind("IP()/ICMP(id=7)/'x'")
    request = CraftRequest("10.1.0.1", "10.2.0.2", 0, TOKEN)
    probe = make_probe(kind, request, timeout_ns=10**9)
    reply = bytes(IP(src="10.2.0.2", dst="10.1.0.1", ttl=61) / ICMP(type=0, id=7) / Raw(b"x"))
    values = (
        write_sent(SentPacket(1_000, "10.1.0.1", 1, 0)),
        write_heard(HeardPacket(2_000, "10.2.0.2", 1, reply)),
    )
    write_capture(tmp_path / "b.pcapng", kind, request, probe, values)
    sent, heard = rdpcap(str(tmp_path / "b.pcapng"))
    assert bytes(sent) == kind.build(request)[0]
    assert bytes(heard) == reply


def test_what_comes_over_ipv6_gets_its_header_again(tmp_path: Path) -> None:
    kind = make_packet_kind("IPv6()/ICMPv6EchoRequest(id=7)")
    request = CraftRequest("fd00:1::1", "fd00:2::2", 0, TOKEN)
    probe = make_probe(kind, request, timeout_ns=10**9)
    values = (write_heard(HeardPacket(2_000, "fd00:2::2", 58, bytes(ICMPv6EchoReply(id=7)))),)
    write_capture(tmp_path / "c.pcapng", kind, request, probe, values)
    (heard,) = rdpcap(str(tmp_path / "c.pcapng"))
    assert (heard[IPv6].src, heard[IPv6].dst, heard[IPv6].nh) == ("fd00:2::2", "fd00:1::1", 58)


def test_a_file_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    kind = make_packet_kind("IP()/ICMP()")
    request = CraftRequest("10.1.0.1", "10.2.0.2", 0, TOKEN)
    probe = make_probe(kind, request, timeout_ns=10**9)
    with pytest.raises(SystemRefusedError, match="No such file or directory"):
        write_capture(tmp_path / "none" / "a.pcapng", kind, request, probe, ())
