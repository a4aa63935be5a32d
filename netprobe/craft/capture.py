"""What was sent and heard, as a pcapng file that Wireshark opens (draft-ietf-opsawg-pcapng).

Each packet has the time of the agent's host. UDP payloads get their IP and UDP headers again from the
addresses and ports that the agent tells; TTL, identification and checksum are those that Scapy fills in. ICMP
errors about UDP payloads are not in the file: the agent tells their sender and code, not their bytes. What
agents recorded themselves (``verify``, ``why``) is written as it was seen, cut to their first bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgWriter

from netprobe.craft.kind import CraftKind, CraftRequest
from netprobe.craft.whole_packet import open_heard
from netprobe.errors import SystemRefusedError
from netprobe.model.check import Probe
from netprobe.model.recorded_packets import PacketRecording, RecordedPacket
from netprobe.probes.packets import payloads_of, read_heard, read_sent


def write_capture(
    path: Path, kind: CraftKind, request: CraftRequest, probe: Probe, values: tuple[str, ...]
) -> int:
    """Write the file; how many packets are in it. :class:`SystemRefusedError` where it cannot be written."""
    return _write(path, _packets(kind, request, probe, values))


def write_recordings(path: Path, recordings: Iterable[PacketRecording]) -> int:
    """Write what agents recorded; how many packets are in it."""
    return _write(path, (_recorded(packet) for each in recordings for packet in each.packets))


def _recorded(packet: RecordedPacket) -> Packet:
    """A packet as it was seen; it keeps its bytes and its size, whatever Scapy makes of them."""
    read = IPv6(packet.data) if packet.data[0] >> 4 == 6 else IP(packet.data)
    read.wirelen = packet.size
    return _stamped(read, packet.wall_ns)


def _write(path: Path, unordered: Iterable[Packet]) -> int:
    packets = sorted(unordered, key=lambda packet: float(packet.time))
    try:
        with PcapNgWriter(str(path)) as writer:
            for packet in packets:
                writer.write(packet)
    except OSError as error:
        raise SystemRefusedError(f"{path}: {error.strerror or error}") from error
    return len(packets)


def _packets(
    kind: CraftKind, request: CraftRequest, probe: Probe, values: tuple[str, ...]
) -> Iterator[Packet]:
    payloads = payloads_of(probe)
    for sent in read_sent(values):
        data = payloads[sent.number] if sent.number < len(payloads) else b""
        if kind.via == "udp":
            packet = _datagram(sent.source or request.source, request.target, sent.port, request.port, data)
        else:
            packet = IP(data) if request.version == 4 else IPv6(data)
        yield _stamped(packet, sent.wall_ns)
    own = next(iter(read_sent(values)), None)
    for heard in read_heard(values):
        if kind.via == "udp" and own is not None:
            packet = _datagram(heard.source, own.source or request.source, heard.port, own.port, heard.data)
        else:
            packet = open_heard(request, heard)
        yield _stamped(packet, heard.wall_ns)


def _datagram(source: str, target: str, source_port: int, target_port: int, data: bytes) -> Packet:
    head = IPv6(src=source, dst=target) if ":" in target else IP(src=source, dst=target)
    return head / UDP(sport=source_port, dport=target_port) / Raw(data)


def _stamped(packet: Packet, wall_ns: int) -> Packet:
    packet.time = wall_ns / 1e9
    return packet
