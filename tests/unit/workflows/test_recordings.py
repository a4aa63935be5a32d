"""What agents recorded becomes one file; what is not in it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.utils import rdpcap

from netprobe.errors import SystemRefusedError
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.recorded_packets import PacketRecording, RecordedPacket
from netprobe.workflows.recordings import PacketBook

ONE, OTHER = AgentId.parse("a/w1/pod"), AgentId.parse("b/w1/host")


def recorded(at_ns: int, packet: IP | IPv6, *, kept: int = 160) -> RecordedPacket:
    data = bytes(packet)
    return RecordedPacket(at_ns, len(data), data[:kept])


def test_packets_of_all_agents_are_in_the_file_in_their_order_as_they_were_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=5, dport=6) / (b"x" * 400)
    early = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2)
    book = PacketBook(tmp_path / "seen.pcapng")
    book.take(ONE, PacketRecording((recorded(2_000_000_000, late),), missed=3))
    book.take(ONE, PacketRecording((recorded(1_000_000_000, early),)))
    book.take(OTHER, None)
    book.take(ONE, PacketRecording(refused=Prose("no NET_RAW")))
    book.write()
    first, second = rdpcap(str(tmp_path / "seen.pcapng"))
    assert bytes(first) == bytes(early)
    assert bytes(second) == bytes(late)[:160]
    assert (first.time, second.time) == (1, 2)
    told = capsys.readouterr().err
    assert "seen.pcapng: 2 packets" in told
    assert "3 more were not kept" in told
    assert "nothing of b/w1/host: its build records no packets" in told
    assert "nothing of a/w1/pod: no NET_RAW" in told


def test_a_file_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(SystemRefusedError, match="No such file or directory"):
        PacketBook(tmp_path / "missing" / "seen.pcapng").write()
