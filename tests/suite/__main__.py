"""``python -m tests.suite TARGET …`` runs parts of the suite and ends with a table of what each took.

``NETPROBE_TEST_TIMES=FILE`` also keeps the rows in FILE, for a run of several programs (`.ci/run`); ``--table
SECONDS`` prints the rows kept there and runs nothing.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.suite import timings
from tests.suite.parts import TARGETS
from tests.suite.runner import run_stages
from tests.suite.timings import Timing


def main() -> int:
    """Run what was asked for; the exit code is 1 where any part failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.suite", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--table", type=float, metavar="SECONDS", help="print the rows kept; run nothing")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if chosen.table is not None:
        return report(timings.read_kept(), total_s=chosen.table)
    began, done = time.monotonic(), list[Timing]()
    try:
        run_stages((stage for target in chosen.targets for stage in TARGETS[target]), done=done.append)
    finally:
        timings.keep(done)
        code = report(done, total_s=time.monotonic() - began)
    return code


def report(done: list[Timing], *, total_s: float) -> int:
    """Print the table; return the exit code of the run."""
    print(f"\n{timings.table(done, total_s=total_s)}", flush=True)
    return int(not done or any(one.failed for one in done))


if __name__ == "__main__":
    sys.exit(main())
