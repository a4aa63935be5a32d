"""Which packets concern a question, and what a recorder keeps of real ones on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.packet import Packet

from netprobe.engine import packet_recorder
from netprobe.engine.packet_recorder import PacketRecorder, concerns, strip_payload

TARGETS = frozenset(ipaddress.ip_address(text).packed for text in ("10.2.0.2", "fd00:2::2"))
ROUTER, OWN, OTHER = "10.1.0.9", "10.1.0.1", "10.3.0.3"
OWN6 = "fd00:1::1"


@pytest.mark.parametrize(
    ("packet", "does"),
    [
        (IP(src=OWN, dst="10.2.0.2") / TCP(), True),
        (IP(src="10.2.0.2", dst=OWN) / UDP(), True),
        (IPv6(src="fd00:1::1", dst="fd00:2::2") / TCP(), True),
        (IP(src=ROUTER, dst=OWN) / ICMP(type=3, code=13) / IP(src=OWN, dst="10.2.0.2") / UDP(), True),
        (IPv6(src="fd00::9", dst="fd00:1::1") / ICMPv6DestUnreach() / IPv6(dst="fd00:2::2") / UDP(), True),
        (IP(src=OWN, dst=OTHER) / TCP(), False),
        (IP(src=ROUTER, dst=OWN) / ICMP(type=3, code=13) / IP(src=OWN, dst=OTHER) / UDP(), False),
        (IP(src=ROUTER, dst=OWN) / ICMP(type=8) / IP(src=OWN, dst="10.2.0.2"), False),
    ],
    ids=["to", "from", "to v6", "error", "error v6", "other", "other's error", "an echo that holds one"],
)
def test_packets_to_and_from_targets_and_errors_about_them_concern(packet: Packet, does: bool) -> None:
    assert concerns(bytes(packet), TARGETS) is does
    for cut in range(20):
        assert not concerns(bytes(packet)[:cut], TARGETS)


need_raw = pytest.mark.skipif(os.geteuid() != 0, reason="a packet socket needs NET_RAW")


async def exchange(count: int) -> PacketRecorder:
    """Datagrams to a closed port of our loopback, recorded."""
    with PacketRecorder(["127.0.0.1"]) as recorder:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            for number in range(count):
                opened.sendto(b"recorded %d" % number, ("127.0.0.1", 9))
        await asyncio.sleep(0)
    return recorder


@need_raw
async def test_what_is_sent_is_recorded_with_its_time_and_size() -> None:
    told = (await exchange(1)).recording
    assert not told.refused
    udp = [each for each in told.packets if each.data[9] == socket.IPPROTO_UDP]
    ours = [each for each in udp if each.data[22:24] == (9).to_bytes(2, "big")]
    assert ours
    assert (ours[0].size, len(ours[0].data)) == (38, 28)
    assert ours[0].wall_ns > 0


@pytest.mark.parametrize(
    "packet",
    [
        IP(src=OWN, dst="10.2.0.2") / TCP(options=[("MSS", 1460)]) / b"password",
        IP(src=OWN, dst="10.2.0.2") / UDP() / b"password",
        IP(src=OWN, dst="10.2.0.2") / ICMP() / b"password",
        IP(src=ROUTER, dst=OWN) / ICMP(type=3, code=13) / IP(src=OWN, dst="10.2.0.2") / UDP() / b"password",
        IP(src=OWN, dst="10.2.0.2", proto=50) / b"password",
        IPv6(src="fd00:1::1", dst="fd00:2::2") / TCP() / b"password",
        IPv6(src="fd00::9", dst=OWN6) / ICMPv6DestUnreach() / IPv6(dst="fd00:2::2") / UDP() / b"password",
    ],
    ids=["tcp", "udp", "icmp", "error", "esp", "tcp v6", "error v6"],
)
def test_headers_are_kept_and_no_payload(packet: Packet) -> None:
    """Other programs of the host speak with the same targets."""
    whole = bytes(packet)
    kept = strip_payload(whole)
    assert kept == whole[: -len(b"password")]
    assert all(kept.startswith(strip_payload(whole[:cut])) for cut in range(40, len(whole)))


@need_raw
async def test_what_has_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_recorder, "MOST_PACKETS", 3)
    told = (await exchange(9)).recording
    assert len(told.packets) == 3
    assert told.missed >= 6
