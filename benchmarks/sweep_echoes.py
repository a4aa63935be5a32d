"""The sweep's echoes: ICMP beside fping, and sealed UDP echoes."""

from __future__ import annotations

import resource
import statistics
import tempfile

from benchmarks.namespaces import NamespacePair
from benchmarks.peer_runs import (
    KEY,
    TICK_NS,
    Figures,
    addresses,
    apart,
    count_echo_replies,
    cpu_s,
    is_missing,
    ratio,
    run_peer,
    running,
)
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import ResultCode, SweepTargets, TargetProtocol
from netprobe.errors import SystemRefusedError
from netprobe.lab.network_namespace import NetworkNamespace

PACE = 10_000
"""Echoes per second where both are paced."""


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
        with apart(pair) as is_apart:
            if is_apart:
                figures |= _beside_fping(pair, sweep, rounds, paced, suffix="", repeats=2)
                figures |= _beside_fping(
                    pair, sweep, 2 * rounds, SweepSettings(), suffix="_unpaced", repeats=2
                )
        replied = count_echo_replies(pair.far)
        _, reached = sweep_rounds(sweep, rounds, SweepSettings())
        replied = count_echo_replies(pair.far) - replied
    return figures | {"delivered_share": round(reached / replied, 6)}


def _beside_fping(
    pair: NamespacePair, sweep: Sweep, rounds: int, pace: SweepSettings, *, suffix: str, repeats: int
) -> Figures:
    """Both, alternating; the median of each."""
    ours, theirs, answered = [], [], 1.0
    missing = is_missing("fping")
    for _ in range(repeats):
        ours.append(sweep_rounds(sweep, rounds, pace)[0])
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


def sweep_rounds(sweep: Sweep, rounds: int, pace: SweepSettings) -> tuple[float, int]:
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


def measure_udp(pair: NamespacePair, *, targets: int = 1000, rounds: int = 6) -> Figures:
    """Processor time per sealed STAMP echo, paced; the far end is the responder of an agent."""
    with (
        running(pair.far, "benchmarks.reflector", "9771", KEY.decode(), "far/node/pod"),
        pair.near.entered(),
        Sweep(
            SweepTargets.of(TargetProtocol.STAMP, addresses(targets), ports=9771), key=KEY, seed=1
        ) as sweep,
    ):
        pace = SweepSettings(rate=5000, tick_ns=TICK_NS)
        sweep.ask(pace)
        used_us, reached = sweep_rounds(sweep, rounds, pace)
    return {
        "udp_cpu_us_per_probe": round(used_us, 2),
        "udp_answered_share": round(reached / (rounds * targets), 6),
    }
