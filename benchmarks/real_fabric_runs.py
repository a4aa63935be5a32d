"""What the end-to-end tests saw fabrics' own programs do, one line a case: the record of their last run.

Rule: a test of a fabric forgets that fabric's lines first, and adds one only after everything that it asks
for was seen on real packets. Without a record, nothing counts as tested on a real program.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

RUNS = Path(__file__).parents[1] / "build/real-fabric-runs.jsonl"


@dataclass(frozen=True, slots=True)
class RealRun:
    """One case that was played with a fabric's own program."""

    fabric: str
    program: str
    """The folder of the cache that it was built into, with the digest of its sources, and its name."""
    case: str
    is_contradicted: bool
    """Whether packets denied what the program claimed, and netprobe said so."""


def read_runs(file: Path = RUNS) -> tuple[RealRun, ...]:
    """Every case of the last run of each fabric, in order; none where no test has run here."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return tuple(msgspec.json.decode(line, type=RealRun) for line in lines)


def forget_runs(fabric: str, file: Path = RUNS) -> None:
    """Remove the lines of a fabric, whose test begins."""
    _write([run for run in read_runs(file) if run.fabric != fabric], file)


def add_run(run: RealRun, file: Path = RUNS) -> None:
    """Add a line."""
    _write([*read_runs(file), run], file)


def _write(runs: list[RealRun], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(msgspec.json.encode(run) + b"\n" for run in runs))
