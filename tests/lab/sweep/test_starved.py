"""Sweeps that are stopped in their middle: a process of our own, by SIGSTOP, while answers come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from benchmarks.namespaces import NamespacePair, joined, unlimited, why_not
from netprobe.engine.sweep.echo_scan import sweep_echoes
from netprobe.lab.network_namespace import NetworkNamespace
from netprobe.model.verdict import Transport, Verdict
from netprobe.wire.stamp import Seal

pytestmark = [
    pytest.mark.slow,  # both processors are kept busy
    pytest.mark.lab,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
]
HOSTS, PORTS = 40, range(80, 90)
RATE = 500.0
STOPS, STOPPED_S, APART_S = 3, 1.0, 0.25
DROPPED = 85
RULES = f"table ip t {{\nchain c {{\ntype filter hook input priority 0\ntcp dport {DROPPED} drop\n}}\n}}"
SWEEP = f"""
from benchmarks.port_sweep import sweep_ports
from netprobe.engine.sweep.echo_scan import sweep_echoes
from netprobe.model.verdict import Transport
hosts = [f"10.9.0.{{number}}" for number in range(1, {HOSTS + 1})]
print("begins", flush=True)
swept = sweep_ports(hosts, {PORTS}, Transport.TCP, rate={RATE}, seed=1)
print(*swept.verdicts, flush=True)
"""


def sweep_stopped(near: NetworkNamespace, *words: str) -> list[str]:
    """The verdicts of a process that is stopped again and again while it asks."""
    command = near.command(*words, sys.executable, "-c", SWEEP)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout is not None
        try:
            assert asker.stdout.readline() == "begins\n"
            for _ in range(STOPS):
                time.sleep(APART_S)
                os.kill(asker.pid, signal.SIGSTOP)
                time.sleep(STOPPED_S)
                os.kill(asker.pid, signal.SIGCONT)
            return asker.stdout.readline().split()
        finally:
            os.kill(asker.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((), id="arrays"),
        pytest.param(("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"), id="connecting"),
    ],
)
def test_a_sweep_that_is_stopped_calls_nothing_filtered_that_passes(words: Sequence[str]) -> None:
    """Stopped from a quarter of a second on, it has most of its questions still to ask."""
    with joined() as pair:
        unlimited(pair.far)
        pair.far.load_rules(RULES)
        with listening(pair):
            told = sweep_stopped(pair.near, *words)
    wanted = [word_of(port) for _ in range(HOSTS) for port in PORTS]
    assert len(told) == len(wanted)
    assert [both for both in zip(wanted, told, strict=True) if both[0] != both[1]] == []


def word_of(port: int) -> str:
    if port == DROPPED:
        return Verdict.FILTERED
    return Verdict.CLOSED if port % 2 else Verdict.OPEN


@contextmanager
def listening(pair: NamespacePair) -> Iterator[None]:
    """Something on every even port of the far end."""
    ports = [str(port) for port in PORTS if not port % 2]
    command = pair.far.command(sys.executable, "-m", "benchmarks.responders", Transport.TCP, *ports)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as opened:
        assert opened.stdout is not None
        assert opened.stdout.readline() == b"ready\n"
        yield


def test_an_echo_that_takes_longer_than_its_time_is_an_echo() -> None:
    """Echoes queue for more than a second in front of a slow line, as they do for a starved processor."""
    hosts = [f"10.9.0.{number}" for number in range(1, 251)]
    with joined() as pair:
        pair.far.shell("tc qdisc add dev cable root tbf rate 80kbit burst 2kb latency 10s")
        with pair.near.entered():
            told = sweep_echoes([], hosts, seal_at=lambda _: Seal(b"k"), rate=10_000)
    assert Counter(one.verdict for one in told) == {Verdict.OPEN: len(hosts)}
