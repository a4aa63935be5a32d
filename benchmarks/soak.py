"""A soak: ``python -m benchmarks.soak [--seconds N] [--json]``; exit code 1 where something does not hold.

One process sweeps round after round without a pause: echoes and SYNs, which the far end's kernel answers, as
fast as packets can leave; and sealed STAMP requests, which an agent's responder in another process answers,
as fast as it does that: never more than :data:`UNDER_WAY` at a time; both families. Every few seconds it
opens and closes a whole sweep over ports besides. What must hold:

- memory and descriptors: after the first tenth of the time, when every buffer has found its size, both
  processes are measured, and again at the end. The memory may differ by :data:`ROOM_MIB`, because an
  allocator breathes, the descriptors by none;
- ``answered_share``: answers over questions, of either kind, at least :data:`LEAST_ANSWERED`.

Between two network namespaces of its own; nothing else is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.namespaces import FAR_V4, FAR_V6, joined, unlimited, why_not
from benchmarks.port_sweep import sweep_ports
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import (
    ResultCode,
    RoundResult,
    SweepTargets,
    TargetProtocol,
)
from netprobe.model.verdict import Transport

ROOM_MIB = 3.0
KEY = "a key for the soak"
PORT = 9771
EACH = 2000
"""Questions of each kind in a round."""
UNDER_WAY = 200
"""A responder's receive buffer holds some 300 requests (``net.core.rmem_max``): with fewer under way none is
lost there, however long the responder has to wait for a processor."""
LEAST_ANSWERED = 0.999
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


_MANY = [*(f"10.9.{index >> 8}.{index & 255}" for index in range(1, EACH)), FAR_V6]
"""Nearly all IPv4, where thousands of addresses answer."""
QUESTIONS = {
    "kernel": SweepTargets.of(TargetProtocol.ICMP, _MANY).plus(
        SweepTargets.of(TargetProtocol.SYN, _MANY, ports=81)
    ),
    "responder": SweepTargets.of(TargetProtocol.STAMP, _MANY, ports=PORT),
}
PORTIONS = {
    "kernel": (None,),
    "responder": tuple(np.array_split(np.arange(len(_MANY)), len(_MANY) // UNDER_WAY)),
}
PACE = SweepSettings(timeout_ns=5_000_000_000)
"""A round ends when all is answered; patience is for a machine that has too much else to do."""


@dataclass(slots=True)
class Tally:
    """What one kind of answerer was asked and has answered."""

    asked: int = 0
    answered: int = 0
    dropped: int = 0
    """Answers lost at our own receive buffers."""

    def add(self, result: RoundResult) -> None:
        """Count one round."""
        self.asked += int(result.asked.sum())
        self.answered += result.count(ResultCode.REACHED) + result.count(ResultCode.REFUSED)
        self.dropped += result.dropped

    @property
    def share(self) -> float:
        """Answers over questions."""
        return self.answered / max(1, self.asked)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was seen."""

    seconds: float
    tallies: dict[str, Tally]
    sizes: dict[str, tuple[Size, Size]]
    """Of each process, settled and at the end."""

    @property
    def problems(self) -> list[str]:
        """What does not hold."""
        grown = [
            f"{name} has grown: {before} → {after}"
            for name, (before, after) in self.sizes.items()
            if after.has_outgrown(before)
        ]
        unanswered = [
            f"the {name} answered {tally.share:.4%}, less than {LEAST_ANSWERED:.1%}"
            for name, tally in self.tallies.items()
            if tally.share < LEAST_ANSWERED
        ]
        return grown + unanswered

    def figures(self) -> dict[str, float]:
        """As one JSON object."""
        told: dict[str, float] = {"seconds": round(self.seconds, 1)}
        for name, tally in self.tallies.items():
            told[f"{name}_asked"] = tally.asked
            told[f"{name}_asked_per_s"] = round(tally.asked / self.seconds)
            told[f"{name}_answered_share"] = round(tally.share, 6)
            told[f"{name}_dropped_at_our_buffers"] = tally.dropped
        told["answered_share"] = min(round(tally.share, 6) for tally in self.tallies.values())
        for name, (before, after) in self.sizes.items():
            told[f"{name}_rss_mib_settled"], told[f"{name}_rss_mib_end"] = (
                round(size.rss_mib, 1) for size in (before, after)
            )
            told[f"{name}_descriptors_settled"] = before.descriptors
            told[f"{name}_descriptors_end"] = after.descriptors
        return told


def soak(sweeps: dict[str, Sweep], responder: int, *, seconds: float) -> Soaked:
    """Sweep for so long."""
    start = now = time.monotonic()
    next_ports, settled, rounds = start, None, 0
    tallies = {name: Tally() for name in sweeps}
    pids = {"sweep": os.getpid(), "responder": responder}
    while now < start + seconds:
        for name, sweep in sweeps.items():
            for rows in PORTIONS[name]:
                tallies[name].add(sweep.ask(PACE, rows=rows))
        rounds += 1
        if now >= next_ports:
            sweep_ports([FAR_V4, FAR_V6], range(80, 90), Transport.TCP, seed=rounds)
            next_ports = now + PORTS_EVERY_S
        now = time.monotonic()
        if settled is None and now >= start + seconds / 10:
            settled = {name: Size.of(pid) for name, pid in pids.items()}
    ended = {name: Size.of(pid) for name, pid in pids.items()}
    sizes = {name: ((settled or ended)[name], ended[name]) for name in pids}
    return Soaked(now - start, tallies, sizes)


def show(soaked: Soaked) -> None:
    """A line for each thing that was counted."""
    for name, tally in soaked.tallies.items():
        print(
            f"asked of the {name:10} {tally.asked:12,} ({tally.asked / soaked.seconds:,.0f}/s), "
            f"{tally.share:.4%} answered, {tally.dropped} dropped at our receive buffers"
        )
    for name, (before, after) in soaked.sizes.items():
        print(
            f"{name:10} rss {before.rss_mib:6.1f} → {after.rss_mib:6.1f} MiB   "
            f"descriptors {before.descriptors:3} → {after.descriptors:3}   "
            f"{'GROWN' if after.has_outgrown(before) else 'held'}"
        )


def main() -> int:
    """Build the namespaces, start the responder, soak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
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
            with pair.near.entered(), contextlib.ExitStack() as stack:
                sweeps = {
                    name: stack.enter_context(Sweep(asked, key=KEY.encode(), seed=1))
                    for name, asked in QUESTIONS.items()
                }
                soaked = soak(sweeps, responder.pid, seconds=chosen.seconds)
    if chosen.json:
        print(json.dumps(soaked.figures(), indent=2))
    else:
        show(soaked)
    for problem in soaked.problems:
        print(problem, file=sys.stderr)
    return 1 if soaked.problems else 0


if __name__ == "__main__":
    sys.exit(main())
