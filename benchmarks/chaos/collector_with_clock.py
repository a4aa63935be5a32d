"""``netprobe collector`` whose wall clock is off by what a file says: nanoseconds, as a signed 64-bit number.

A machine's own clock cannot be set for one process, and setting it for all would disturb everything else on
it. So this program, and only it, answers ``time.time_ns`` and ``time.time`` with the file's offset.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

_REAL_NS = time.time_ns


def main() -> None:
    """``python -m benchmarks.chaos.collector_with_clock OFFSET-FILE ARGUMENT…``."""
    file = Path(sys.argv[1]).open("rb")  # noqa: SIM115 - for as long as the program runs
    offset = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)

    def shifted_ns() -> int:
        return int(_REAL_NS() + struct.unpack("q", offset[:8])[0])

    time.time_ns = shifted_ns
    time.time = lambda: shifted_ns() / 1e9
    from netprobe.cli.main import main as netprobe  # noqa: PLC0415 - what it imports reads the clock's name

    sys.argv = ["netprobe", *sys.argv[2:]]
    netprobe()


if __name__ == "__main__":
    main()
