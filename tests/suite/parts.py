"""The parts of the test suite: what each runs, and which run side by side.

Rule: every test belongs to exactly one part. Tests marked ``slow`` are not in `make test`; lab tests marked
``quiet`` run one at a time because load on the machine changes what they see.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROCESSORS = len(os.sched_getaffinity(0))
_LAB_WORKERS = 2 * PROCESSORS
"""Lab tests wait for most of their time: for time-outs, for intervals to end, for daemons to come up."""

_UNIT_WORKERS = PROCESSORS + 1
"""Unit tests start servers, agents and browsers and wait for them; without one more, processors idle."""


@dataclass(frozen=True, slots=True)
class Part:
    """One command of the suite; its exit code says whether it passed."""

    name: str
    command: tuple[str, ...]
    """The program is one of the virtual environment's."""
    is_background: bool = field(default=False, compare=False)
    """Whether it gets only the processor time that other parts leave (``SCHED_IDLE``)."""


Lane = tuple[Part, ...]
"""Parts that run one after the other."""
Stage = tuple[Lane, ...]
"""Lanes that run at the same time."""


def _pytest(
    name: str, folder: tuple[str, ...], *, workers: int = 1, dist: str = "worksteal", marked: str = ""
) -> Part:
    command = ["python", "-m", "pytest", "-q", *folder]
    if workers > 1:
        command += ["-n", str(workers), "--dist", dist]
    if marked:
        command += ["-m", marked]
    if "CI" in os.environ:
        command += ["--durations=15"]
    return Part(name, tuple(command))


def _lab(name: str, marked: str, *, workers: int = 1) -> Part:
    """The tests of one file share labs, so they stay on one worker (groups: tests/lab/conftest.py)."""
    return _pytest(name, ("tests/lab",), workers=workers, dist="loadgroup", marked=marked)


LINT = Part("lint", ("ruff", "check", "."))
FORMAT = Part("format", ("ruff", "format", "--check", "."))
TYPES = Part("types", ("mypy",))
FLOORS = Part("floors", ("lint-imports",))
_WITHOUT_LAB = ("tests/unit", "netprobe", "tests/scenarios")
UNIT = _pytest("unit", ("tests/unit", "netprobe"), workers=_UNIT_WORKERS, marked="not slow")
SCENARIOS = _pytest("scenarios", ("tests/scenarios",), workers=PROCESSORS, marked="not slow")
SLOW = _pytest("slow", _WITHOUT_LAB, workers=_UNIT_WORKERS, marked="slow")
NOTEBOOKS = _pytest("notebooks", ("tests/notebooks",))
LAB = _lab("lab", "not slow and not quiet", workers=_LAB_WORKERS)
LAB_QUIET = _lab("lab-quiet", "quiet and not slow")
LAB_SLOW = _lab("lab-slow", "slow and not quiet", workers=_LAB_WORKERS)
LAB_SLOW_QUIET = _lab("lab-slow-quiet", "slow and quiet")
BAD_DAYS = _pytest("bad-days", ("tests/bad_days",), workers=PROCESSORS)

CHECK: Lane = (FORMAT, LINT, TYPES, FLOORS)
TARGETS: dict[str, tuple[Stage, ...]] = {
    "check": ((CHECK,),),
    "lint": (((FORMAT, LINT),),),
    "types": (((TYPES,),),),
    "floors": (((FLOORS,),),),
    "unit": (((UNIT,),),),
    "scenarios": (((SCENARIOS,),),),
    "notebooks": (((NOTEBOOKS,),),),
    "lab-core": (((LAB,),), ((LAB_QUIET,),)),
    "lab-slow": (((LAB_SLOW,),), ((LAB_SLOW_QUIET,),)),
    "slow": (((SLOW,),),),
    "bad-days": (((BAD_DAYS,),),),
    # Quiet lab tests wait for most of their time, and what is in the background delays none of them.
    "rest": (
        ((LAB_SLOW,),),
        ((LAB_SLOW_QUIET,), (replace(SLOW, is_background=True), replace(BAD_DAYS, is_background=True))),
    ),
    "test": (((*CHECK, NOTEBOOKS, SCENARIOS), (UNIT,)), ((LAB,),), ((LAB_QUIET,),)),
}
"""What make calls by these names."""


def parts_of(*targets: str) -> tuple[Part, ...]:
    """Every part of these targets, in order."""
    stages = (stage for target in targets for stage in TARGETS[target])
    return tuple(part for stage in stages for lane in stage for part in lane)
