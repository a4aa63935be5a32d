"""Runs parts of the suite and keeps how long each took.

Rule: a part that fails does not stop the others: one run says everything that is wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.suite import timings
from tests.suite.parts import ROOT, Lane, Part, Stage
from tests.suite.timings import Timing

_PRINTING = threading.Lock()
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's threads wait for each other in loops, where workers of a part share the processors already."""


def run_stages(stages: Iterable[Stage], *, done: Callable[[Timing], None]) -> None:
    """Run stage after stage; *done* is called with each part that has ended."""
    for stage in stages:
        with ThreadPoolExecutor(len(stage)) as pool:
            running = [pool.submit(_run_lane, lane, done, alone=len(stage) == 1) for lane in stage]
        for lane in running:
            lane.result()


def _run_lane(lane: Lane, done: Callable[[Timing], None], *, alone: bool) -> None:
    for part in lane:
        done(run_part(part, alone=alone))


def run_part(part: Part, *, alone: bool) -> Timing:
    """Run one part. Beside others its output is printed when it has ended, so that lines do not mix."""
    began = time.monotonic()
    program, *words = part.command
    command = [str(Path(sys.executable).parent / program), *words]
    if part.is_background:
        command = ["chrt", "--idle", "0", *command]
    told = None if alone else subprocess.PIPE
    if alone:
        print(f"--- {part.name}", flush=True)
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=_ONE_THREAD | timings.without_kept(os.environ),
        check=False,
        text=True,
        stdout=told,
        stderr=None if alone else subprocess.STDOUT,
    )
    if not alone:
        with _PRINTING:
            print(f"--- {part.name}\n{ran.stdout}", end="", flush=True)
    return Timing(part.name, time.monotonic() - began, ran.returncode)
