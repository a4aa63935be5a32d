"""How long each part of a run took: a table for people. Nothing asserts these numbers.

Rule: no clock in here; seconds arrive from those who measured them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

_KEPT = "NETPROBE_TEST_TIMES"


@dataclass(frozen=True, slots=True)
class Timing:
    """One part that has ended."""

    part: str
    seconds: float
    exit_code: int
    note: str = ""
    """What the table says besides; a part that did not run says why."""

    @property
    def failed(self) -> bool:
        """Whether the part failed: any exit code but zero."""
        return self.exit_code != 0


def table(timings: Sequence[Timing], *, total_s: float) -> str:
    """A line for each part, and the total: less than their sum where parts ran side by side."""
    rows = [(one.part, one.seconds, _result(one)) for one in timings]
    rows.append(("total", total_s, ""))
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(
        f"{name:<{width}}  {_clock(seconds):>7}  {told}".rstrip() for name, seconds, told in rows
    )


def _result(timing: Timing) -> str:
    ended = f"FAILED ({timing.exit_code})" if timing.failed else "passed"
    return f"{ended}, {timing.note}" if timing.note else ended


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def keep(timings: Iterable[Timing]) -> None:
    """Keep *timings* in the file that NETPROBE_TEST_TIMES names, for a run of several programs."""
    if path := os.environ.get(_KEPT):
        with Path(path).open("ab") as kept:
            kept.writelines(msgspec.json.encode(one) + b"\n" for one in timings)


def without_kept(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* for a part: tests of the suite itself must not add rows to the table of the run."""
    return {name: value for name, value in environment.items() if name != _KEPT}


def read_kept() -> list[Timing]:
    """What was kept so far."""
    lines = Path(os.environ[_KEPT]).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Timing) for line in lines]
