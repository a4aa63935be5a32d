"""What the parts of the sweep benchmark share: processor time, peers, counters, processors kept apart."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.namespaces import NamespacePair, steer
from netprobe.errors import SystemRefusedError
from netprobe.lab.network_namespace import NetworkNamespace

Figures = dict[str, object]
KEY = b"a key for the benchmark"
TICK_NS = 50_000_000
"""We gather what is due in steps of this length; fping sends packet by packet."""


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


@contextlib.contextmanager
def apart(pair: NamespacePair) -> Iterator[bool]:
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


@contextlib.contextmanager
def running(namespace: NetworkNamespace, module: str, *arguments: str) -> Iterator[None]:
    """A module of ours as a process inside, ready to answer; it ends when its input is closed."""
    command = namespace.command(sys.executable, "-m", module, *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as standing:
        assert standing.stdout is not None
        if standing.stdout.readline() != b"ready\n":
            raise SystemRefusedError(f"{module} did not start")
        yield
