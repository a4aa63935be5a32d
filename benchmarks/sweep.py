"""The sweep beside fping, masscan and nmap: same targets, same packets, same machine, one run.

Everything happens between two namespaces of the run's own, joined by a veth cable; thousands of addresses
live on the far one. What is equal, and how it is counted:

- *Processor time* is user and system time from ``getrusage``: the kernel's work for each packet is in it.
  A peer's figure is that of its process less that of the same peer asked for one single target, because
  ours is taken inside a running process, as an agent is one. Preparing our packets happens once per plan and
  is shown on its own (``icmp_prepare_us_per_target``); for verdicts it is part of our figure, because there
  it is done again. What Python loads when it asks for the first time is not: one port is asked before.
- *Near and far* are kept apart for processor time: on a veth cable the far end's kernel would work inside the
  sender's system call, at the sender's charge, and its answer would be there before the call returns. So the
  far end's packets are steered to another processor, and what is measured is bound to the first, as if they
  were two machines. The result without that is shown beside it as ``…_one_processor``.
- *fping* and we send the same number of 84-byte echoes to the same targets at the same pace (fping: ``-i``),
  as a monitor does; runs alternate, and the median of each counts. fping wakes for every packet then, while
  we gather what is due in steps. The figures ``…_unpaced`` are for both going as fast as they can
  (``fping -i 0``), where neither waits and most of both figures is the kernel's work for the packets: the
  ratio is small there, and that is not hidden.
- *masscan* and we send SYNs to the same addresses and ports, as fast as each can. The rate of both is read
  from counters at the far end: the middle 80 % of the packets over the time they took, times the share of
  SYNs among them (masscan sends RSTs besides).
- *nmap* runs with its default timing and gets the same hosts and ports of the same generated firewall, TCP
  and then UDP; neither resolves names or pings first. ``verdict_agreement_with_nmap`` compares nmap's states:
  nmap calls both silence and an ICMP refusal ``filtered`` and gives the reason besides; the share of pairs
  where the reason is the same, too, is ``verdict_agreement_with_nmap_reasons``.
- ``delivered_share``: echo replies we counted over echo replies the far kernel sent, at full rate.
- ``rtt_error_us_*``: our round trip times against those that tcpdump's kernel time stamps of the very same
  packets give, while we sweep at 50,000 echoes per second.

A peer that is not installed gives a notice on standard error and null figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import nmap
from benchmarks.firewall import Firewall, generate_firewall, words
from benchmarks.namespaces import NEAR_V4, NamespacePair, joined, steer, unlimited, why_not
from benchmarks.port_sweep import sweep_ports
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import ResultCode, SweepTargets, TargetProtocol
from netprobe.errors import SystemRefusedError
from netprobe.lab.network_namespace import NetworkNamespace
from netprobe.model.verdict import PORTED, Transport

Figures = dict[str, object]
KEY = b"a key for the benchmark"
PACE = 10_000
"""Echoes per second where both are paced."""
TICK_NS = 50_000_000
"""We gather what is due in steps of this length; fping sends packet by packet."""


def run(arguments: list[str]) -> Figures:
    """Measure all parts, or those named with ``--only``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sweep")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="one part; may be repeated")
    chosen = parser.parse_args(arguments).only or list(PARTS)
    if reason := why_not():
        raise SystemRefusedError(f"the sweep benchmark {reason}")
    figures: Figures = {}
    for part in chosen:
        with joined() as pair:
            unlimited(pair.far)
            figures |= PARTS[part](pair)
    return figures


# --- counting -----------------------------------------------------------------------------------


def cpu_s(who: int) -> float:
    """User and system time so far."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def run_peer(
    namespace: NetworkNamespace, *command: str
) -> tuple[float, float, subprocess.CompletedProcess[bytes]]:
    """Run a peer to its end: processor time, wall time, and what it said."""
    before, start = cpu_s(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(namespace.command(*command), capture_output=True, check=False)
    return cpu_s(resource.RUSAGE_CHILDREN) - before, time.monotonic() - start, done


def is_missing(tool: str) -> bool:
    """Say so where a peer is not installed."""
    if shutil.which(tool) is not None:
        return False
    print(f"{tool} is not installed: its figures are null", file=sys.stderr)
    return True


def ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 2) if one is not None and other else None


def addresses(count: int) -> list[str]:
    return [f"10.9.{index >> 8}.{index & 255}" for index in range(1, count + 1)]


def _read_counters(namespace: NetworkNamespace, name: str) -> list[str]:
    with namespace.entered():
        return Path(f"/proc/thread-self/net/{name}").read_text().splitlines()


def count_received(namespace: NetworkNamespace) -> int:
    """Packets that have come in through the cable."""
    rows = _read_counters(namespace, "dev")
    return next(int(row.split()[2]) for row in rows if row.strip().startswith("cable:"))


def count_echo_replies(namespace: NetworkNamespace) -> int:
    """Echo replies the kernel of *namespace* has sent."""
    rows = _read_counters(namespace, "snmp")
    names, values = (row.split() for row in rows if row.startswith("Icmp:"))
    return int(values[names.index("OutEchoReps")])


# --- ICMP beside fping ----------------------------------------------------------------------------


def measure_icmp(pair: NamespacePair, *, targets: int = 3000, rounds: int = 7) -> Figures:
    """Processor time per echo, paced and not, and whether every reply sent to us is counted."""
    with pair.near.entered():
        before = cpu_s(resource.RUSAGE_SELF)
        sweep = Sweep(SweepTargets.of(TargetProtocol.ICMP, addresses(targets), sizes=84), key=KEY, seed=1)
        prepare_us = (cpu_s(resource.RUSAGE_SELF) - before) / targets * 1e6
    figures: Figures = {"icmp_cpu_ratio_vs_fping": None}
    figures |= {"icmp_prepare_us_per_target": round(prepare_us, 2), "icmp_pace_per_s": PACE}
    paced = SweepSettings(rate=PACE, tick_ns=TICK_NS)
    with sweep:
        sweep.ask(SweepSettings())
        figures |= _beside_fping(pair, sweep, rounds, paced, suffix="_one_processor", repeats=1)
        with _apart(pair) as apart:
            if apart:
                figures |= _beside_fping(pair, sweep, rounds, paced, suffix="", repeats=2)
                figures |= _beside_fping(
                    pair, sweep, 2 * rounds, SweepSettings(), suffix="_unpaced", repeats=2
                )
        replied = count_echo_replies(pair.far)
        _, reached = _sweep_rounds(sweep, rounds, SweepSettings())
        replied = count_echo_replies(pair.far) - replied
    return figures | {"delivered_share": round(reached / replied, 6)}


def _beside_fping(
    pair: NamespacePair, sweep: Sweep, rounds: int, pace: SweepSettings, *, suffix: str, repeats: int
) -> Figures:
    """Both, alternating; the median of each."""
    ours, theirs, answered = [], [], 1.0
    missing = is_missing("fping")
    for _ in range(repeats):
        ours.append(_sweep_rounds(sweep, rounds, pace)[0])
        if not missing:
            gap_ms = 1000 / pace.rate if pace.rate else 0.0
            cost, share = _fping(pair.near, addresses(len(sweep.questions)), rounds, gap_ms=gap_ms)
            theirs.append(cost)
            answered = min(answered, share)
    our_us, their_us = statistics.median(ours), None if missing else statistics.median(theirs)
    return {
        f"icmp_cpu_ratio_vs_fping{suffix}": ratio(their_us, our_us),
        f"icmp_cpu_us_per_probe{suffix}": round(our_us, 2),
        f"fping_cpu_us_per_probe{suffix}": their_us and round(their_us, 2),
        f"fping_answered_share{suffix}": None if missing else round(answered, 4),
    }


@contextlib.contextmanager
def _apart(pair: NamespacePair) -> Iterator[bool]:
    """We (and peers we start) on one processor, the far kernel's work on another, as if on two machines."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        print(
            "one processor: near and far end cannot be told apart, those figures are missing", file=sys.stderr
        )
        yield False
        return
    steer(pair.far, processor=usable[1])
    os.sched_setaffinity(0, usable[:1])
    try:
        yield True
    finally:
        os.sched_setaffinity(0, usable)


def _sweep_rounds(sweep: Sweep, rounds: int, pace: SweepSettings) -> tuple[float, int]:
    """Processor time per echo in microseconds, and how many were answered."""
    before, reached = cpu_s(resource.RUSAGE_SELF), 0
    for _ in range(rounds):
        reached += sweep.ask(pace).count(ResultCode.REACHED)
    return (cpu_s(resource.RUSAGE_SELF) - before) / (rounds * len(sweep.questions)) * 1e6, reached


def _fping(near: NetworkNamespace, named: list[str], rounds: int, *, gap_ms: float) -> tuple[float, float]:
    """Processor time per echo in microseconds, start-up taken off, and the share that was answered.

    Where nothing holds it back it fills queues that it reads too late, and loses a few.
    """
    period_ms = max(20, gap_ms * len(named))
    options = ("fping", "-q", "-b", "56", "-i", f"{gap_ms:g}", "-p", f"{period_ms:g}", "-t", "500")
    with tempfile.NamedTemporaryFile("w", suffix=".targets") as listed:
        listed.write("\n".join(named))
        listed.flush()
        startup, _, _ = run_peer(near, *options, "-c", "1", named[0])
        used, _, done = run_peer(near, *options, "-c", str(rounds), "-f", listed.name)
    told = done.stderr.decode().splitlines()
    answered = sum(int(line.split("=")[1].split("/")[1]) for line in told if "xmt/rcv" in line)
    asked = rounds * len(named)
    if answered < 0.5 * asked:
        raise SystemRefusedError(f"fping had {answered} answers of {asked}: {told[-1:]}")
    return (used - startup) / asked * 1e6, answered / asked


# --- UDP echoes -----------------------------------------------------------------------------------


def measure_udp(pair: NamespacePair, *, targets: int = 1000, rounds: int = 6) -> Figures:
    """Processor time per sealed STAMP echo, paced; the far end is the responder of an agent."""
    with (
        _running(pair.far, "benchmarks.reflector", "9771", KEY.decode(), "far/node/pod"),
        pair.near.entered(),
        Sweep(
            SweepTargets.of(TargetProtocol.STAMP, addresses(targets), ports=9771), key=KEY, seed=1
        ) as sweep,
    ):
        pace = SweepSettings(rate=5000, tick_ns=TICK_NS)
        sweep.ask(pace)
        used_us, reached = _sweep_rounds(sweep, rounds, pace)
    return {
        "udp_cpu_us_per_probe": round(used_us, 2),
        "udp_answered_share": round(reached / (rounds * targets), 6),
    }


# --- round trip times beside the kernel's -----------------------------------------------------------


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


# --- SYN beside masscan ---------------------------------------------------------------------------


def measure_syn(pair: NamespacePair, *, hosts: int = 8192, ports: int = 20) -> Figures:
    """SYNs per second at the far end."""
    named = addresses(hosts)
    questions = SweepTargets.of(
        TargetProtocol.SYN,
        np.repeat(SweepTargets.of(TargetProtocol.SYN, named, ports=1).addresses, ports, axis=0),
        ports=np.tile(np.arange(1000, 1000 + ports), hosts).astype(np.uint16),
    )  # fmt: skip
    pair.far.load_rules(
        "table inet seen {\nchain input {\ntype filter hook input priority 0\n"
        "tcp flags & (syn | ack | rst) == syn counter\n}\n}"
    )
    ours, theirs, answered = [], [], 0
    with pair.near.entered():
        sweep = Sweep(questions, key=KEY, seed=1)
    with sweep:
        for _ in range(3):
            with _rate_at(pair.far) as rate:
                answered = sweep.ask(SweepSettings(beside=True)).count(ResultCode.REFUSED)
            ours.append(rate[0])
            if not is_missing("masscan"):
                with _rate_at(pair.far) as rate:
                    _masscan(pair, hosts, ports)
                theirs.append(rate[0])
    return {
        "syn_rate_ratio_vs_masscan": ratio(max(ours), max(theirs, default=None)),
        "syn_per_s": round(max(ours)),
        "masscan_syn_per_s": round(max(theirs)) if theirs else None,
        "syn_answered_share": round(answered / len(questions), 6),
    }


def _masscan(pair: NamespacePair, hosts: int, ports: int) -> None:
    link = subprocess.run(
        pair.far.command("ip", "-brief", "link", "show", "cable"), capture_output=True, text=True, check=True
    )
    first, last = addresses(hosts)[0], addresses(hosts)[-1]
    run_peer(
        pair.near, "masscan", f"{first}-{last}", "-p", f"1000-{999 + ports}", "--rate", "10000000",
        "--wait", "0", "--adapter", "cable", "--adapter-ip", NEAR_V4,
        "--router-mac", link.stdout.split()[2], "-oL", "/dev/null",
    )  # fmt: skip


@contextlib.contextmanager
def _rate_at(far: NetworkNamespace) -> Iterator[list[float]]:
    """SYNs per second that arrive at *far* meanwhile, in the middle 80 % of all packets; known afterwards."""
    samples: list[tuple[float, int]] = []
    before = _count_syns(far)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            samples.append((time.monotonic(), count_received(far)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    rate: list[float] = []
    try:
        yield rate
    finally:
        over.set()
        watcher.join()
    first, total = samples[0][1], samples[-1][1] - samples[0][1]
    middle = [(at, seen - first) for at, seen in samples if 0.1 * total <= seen - first <= 0.9 * total]
    (start, low), (end, high) = middle[0], middle[-1]
    share = (_count_syns(far) - before) / total
    rate.append(share * (high - low) / (end - start))


def _count_syns(far: NetworkNamespace) -> int:
    listed = subprocess.run(
        far.command("nft", "list", "table", "inet", "seen"), capture_output=True, text=True, check=True
    )
    return int(listed.stdout.split("packets ")[1].split()[0])


# --- verdicts beside nmap -------------------------------------------------------------------------


def measure_verdicts(pair: NamespacePair, *, hosts: int = 200, ports: int = 50) -> Figures:
    """Verdicts on a generated firewall: how fast, at what cost, how right."""
    sums = dict.fromkeys(
        ("pairs", "wall", "cpu", "right", "nmap_wall", "nmap_cpu", "nmap_right", "same", "reasons"), 0.0
    )
    peer = not is_missing("nmap")
    for transport in PORTED:
        firewall = generate_firewall(transport, hosts=hosts, ports=ports, limited=4, seed=7)
        with _standing(pair, firewall, transport), _apart(pair):
            ours = _our_verdicts(pair, firewall, transport, sums)
            if peer:
                _nmap_verdicts(pair, firewall, transport, ours, sums)
    pairs = sums["pairs"]
    return {
        "verdict_rate_ratio_vs_nmap": ratio(sums["nmap_wall"], sums["wall"]) if peer else None,
        "verdict_cpu_ratio_vs_nmap": ratio(sums["nmap_cpu"], sums["cpu"]) if peer else None,
        "verdict_agreement_with_nmap": round(sums["same"] / pairs, 6) if peer else None,
        "verdict_agreement_with_nmap_reasons": round(sums["reasons"] / pairs, 6) if peer else None,
        "verdict_agreement_with_truth": round(sums["right"] / pairs, 6),
        "nmap_agreement_with_truth": round(sums["nmap_right"] / pairs, 6) if peer else None,
        "verdict_pairs": int(pairs),
        "verdicts_per_s": round(pairs / sums["wall"]),
        "verdict_cpu_us_per_pair": round(sums["cpu"] / pairs * 1e6, 2),
        "nmap_verdicts_per_s": round(pairs / sums["nmap_wall"]) if peer else None,
        "nmap_cpu_us_per_pair": round(sums["nmap_cpu"] / pairs * 1e6, 2) if peer else None,
    }


def _our_verdicts(
    pair: NamespacePair, firewall: Firewall, transport: Transport, sums: dict[str, float]
) -> dict[tuple[str, int], str]:
    with pair.near.entered():
        sweep_ports(firewall.hosts[-1:], firewall.listening[:1], transport, seed=1)
        before, start = cpu_s(resource.RUSAGE_SELF), time.monotonic()
        swept = sweep_ports(firewall.hosts, firewall.ports, transport, seed=1)
        sums["cpu"] += cpu_s(resource.RUSAGE_SELF) - before
        sums["wall"] += time.monotonic() - start
    ours = words(swept)
    sums["pairs"] += len(ours)
    sums["right"] += sum(firewall.truth[place] == word for place, word in ours.items())
    return ours


def _nmap_verdicts(
    pair: NamespacePair,
    firewall: Firewall,
    transport: Transport,
    ours: dict[tuple[str, int], str],
    sums: dict[str, float],
) -> None:
    startup, _, _ = run_peer(pair.near, *nmap.command(transport, firewall.hosts[-1:], firewall.listening[:1]))
    used, wall, done = run_peer(pair.near, *nmap.command(transport, firewall.hosts, firewall.ports))
    theirs = nmap.read_verdicts(done.stdout)
    sums["nmap_cpu"] += used - startup
    sums["nmap_wall"] += wall
    sums["nmap_right"] += sum(firewall.truth[place] == word for place, word in theirs.items())
    sums["reasons"] += sum(theirs.get(place) == word for place, word in ours.items())
    sums["same"] += sum(nmap.agrees(word, theirs.get(place)) for place, word in ours.items())


@contextlib.contextmanager
def _standing(pair: NamespacePair, firewall: Firewall, transport: Transport) -> Iterator[None]:
    pair.far.load_rules(firewall.rules)
    with _running(pair.far, "benchmarks.responders", transport, *map(str, firewall.listening)):
        yield


@contextlib.contextmanager
def _running(namespace: NetworkNamespace, module: str, *arguments: str) -> Iterator[None]:
    """A module of ours as a process inside, ready to answer; it ends when its input is closed."""
    command = namespace.command(sys.executable, "-m", module, *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as standing:
        assert standing.stdout is not None
        if standing.stdout.readline() != b"ready\n":
            raise SystemRefusedError(f"{module} did not start")
        yield


PARTS: dict[str, Callable[[NamespacePair], Figures]] = {
    "icmp": measure_icmp,
    "udp": measure_udp,
    "rtt": measure_rtt,
    "syn": measure_syn,
    "verdicts": measure_verdicts,
}

if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:]), indent=2))
