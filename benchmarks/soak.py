"""A soak: ``python -m benchmarks.soak [--seconds N]``; exit code 1 where memory or descriptors have grown.

One process sweeps round after round without a pause (echoes, SYNs and sealed STAMP requests, both families),
and every few seconds opens and closes a whole sweep over ports besides; another is an agent's responder that
answers. After the first tenth of the time, when every buffer has found its size, both are measured, and again
at the end: the memory may differ by :data:`ROOM_MIB`, because an allocator breathes, the descriptors by none.
Between two network namespaces of its own; nothing else is asked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.namespaces import FAR_V4, FAR_V6, joined, unlimited, why_not
from netprobe.engine.sweep.ports import sweep_ports
from netprobe.engine.sweep.questions import Code, Kind, Questions
from netprobe.engine.sweep.sweep import Pace, Sweep
from netprobe.model.verdict import Transport

ROOM_MIB = 3.0
KEY = "a key for the soak"
PORT = 9771
EACH = 2000
"""Questions of each kind in a round."""
PORTS_EVERY_S = 5


@dataclass(frozen=True, slots=True)
class Size:
    """What a process holds."""

    rss_mib: float
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Size:
        """As the kernel counts it."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        held = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, held)

    def has_outgrown(self, earlier: Size) -> bool:
        """Whether this is more than it was."""
        return self.rss_mib > earlier.rss_mib + ROOM_MIB or self.descriptors > earlier.descriptors


def questions() -> Questions:
    """A round: every kind, nearly all over IPv4, where thousands of addresses answer."""
    many = [f"10.9.{index >> 8}.{index & 255}" for index in range(1, EACH)]
    return (
        Questions.of(Kind.ICMP, [*many, FAR_V6])
        .plus(Questions.of(Kind.SYN, [*many, FAR_V6], ports=81))
        .plus(Questions.of(Kind.STAMP, [*many, FAR_V6], ports=PORT))
    )


def soak(sweep: Sweep, responder: int, *, seconds: float) -> bool:
    """Sweep for so long and print both sizes at both ends; whether nothing has grown."""
    start = now = time.monotonic()
    next_ports, settled = start, None
    rounds = answered = asked = 0
    while now < start + seconds:
        result = sweep.ask(Pace())
        rounds, asked = rounds + 1, asked + len(result.codes)
        answered += result.count(Code.REACHED) + result.count(Code.REFUSED)
        if now >= next_ports:
            sweep_ports([FAR_V4, FAR_V6], range(80, 90), Transport.TCP, seed=rounds)
            next_ports = now + PORTS_EVERY_S
        now = time.monotonic()
        if settled is None and now >= start + seconds / 10:
            settled = (Size.of(os.getpid()), Size.of(responder))
    ended = (Size.of(os.getpid()), Size.of(responder))
    print(
        f"{rounds} rounds, {asked} questions ({asked / seconds:,.0f}/s), {answered / asked:.4%} answered, "
        f"{sweep.drops} dropped at our receive buffers"
    )
    held = True
    for name, before, after in zip(("sweep", "responder"), settled or ended, ended, strict=True):
        grown = after.has_outgrown(before)
        held = held and not grown
        print(
            f"{name:10} rss {before.rss_mib:6.1f} → {after.rss_mib:6.1f} MiB   "
            f"descriptors {before.descriptors:3} → {after.descriptors:3}   {'GROWN' if grown else 'held'}"
        )
    return held


def main() -> int:
    """Build the namespaces, start the responder, soak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    seconds = parser.parse_args().seconds
    if reason := why_not():
        print(f"the soak {reason}", file=sys.stderr)
        return 2
    with joined() as pair:
        unlimited(pair.far)
        # nsenter executes the responder in its own place: its process id is the one to measure.
        command = pair.far.command(sys.executable, "-m", "benchmarks.reflector", str(PORT), KEY, "far/w1/pod")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as responder:
            assert responder.stdout is not None
            if responder.stdout.readline() != b"ready\n":
                print("the responder did not start", file=sys.stderr)
                return 2
            with pair.near.entered(), Sweep(questions(), key=KEY.encode(), seed=1) as sweep:
                return 0 if soak(sweep, responder.pid, seconds=seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
