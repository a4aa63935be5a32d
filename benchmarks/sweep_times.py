"""The sweep's round trip times beside those of the kernel's own time stamps."""

from __future__ import annotations

import struct
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.namespaces import NamespacePair
from benchmarks.peer_runs import KEY, Figures, addresses, is_missing
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import SweepTargets, TargetProtocol


def measure_rtt(pair: NamespacePair, *, targets: int = 3000) -> Figures:
    """Our times against tcpdump's time stamps of the same packets."""
    if is_missing("tcpdump"):
        return {"rtt_error_us_p50": None, "rtt_error_us_p99": None}
    with tempfile.TemporaryDirectory() as folder, pair.near.entered():
        file = Path(folder) / "echoes.pcap"
        command = ("tcpdump", "-i", "cable", "-n", "-s", "64", "-B", "65536", "-U", "-w", str(file))
        stamped = ("--time-stamp-precision=nano", "icmp")
        with (
            Sweep(SweepTargets.of(TargetProtocol.ICMP, addresses(targets)), key=KEY, seed=1) as sweep,
            subprocess.Popen([*command, *stamped], stderr=subprocess.PIPE) as tap,
        ):
            assert tap.stderr is not None
            tap.stderr.readline()  # "listening on …"
            results = [sweep.ask(SweepSettings(rate=50_000, tick_ns=10_000_000)) for _ in range(4)][1:]
            time.sleep(0.5)
            tap.terminate()
        true_ns = _read_rtts(file.read_bytes())
    errors = [
        abs(int(result.rtts_ns[row]) - true_ns[result.number & 0xFFFFFFFF, row]) / 1000
        for result in results
        for row in range(targets)
        if (result.number & 0xFFFFFFFF, row) in true_ns and result.rtts_ns[row] > 0
    ]
    return {
        "rtt_error_us_p50": round(float(np.percentile(errors, 50)), 1),
        "rtt_error_us_p99": round(float(np.percentile(errors, 99)), 1),
        "rtt_compared": len(errors),
    }


def _read_rtts(pcap: bytes) -> dict[tuple[int, int], int]:
    """Reply time less request time by (round, row) from a nanosecond pcap of Ethernet, IPv4, ICMP."""
    sent: dict[bytes, int] = {}
    rtts: dict[tuple[int, int], int] = {}
    at = 24
    while at + 16 <= len(pcap):
        seconds, rest_ns, size, _ = struct.unpack_from("=IIII", pcap, at)
        packet = pcap[at + 16 : at + 16 + size]
        at += 16 + size
        kind, mark, when_ns = packet[34], packet[42:58], seconds * 1_000_000_000 + rest_ns
        if kind == 8:
            sent[mark] = when_ns
        elif kind == 0 and mark in sent:
            row, number = struct.unpack_from("!II", mark)
            rtts[number, row] = when_ns - sent[mark]
    return dict(rtts.items())
