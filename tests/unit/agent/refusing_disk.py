"""A spool on a small file system that is full or turns read-only; prints what became of its reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from netprobe_agent.spool import Spool
from tests.unit.agent.test_spool import drain, make_report

_FULL = 400


def mount(folder: Path, *options: str) -> None:
    """A tmpfs of 64 KiB at *folder*, or other options of the one that is there."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(("size=64k", *options)), "spool", folder], check=True
    )


def main(how: str, folder: Path) -> dict[str, object]:
    """Fill the spool while its disk refuses."""
    mount(folder)
    spool = Spool(folder)
    if how == "full":
        for sequence in range(1, _FULL + 1):
            spool.put(make_report(sequence))
        kept = drain(spool)
        return {
            "refused": spool.refuses,
            "newest kept": kept[-1] == _FULL,
            "dropped is oldest": kept == list(range(_FULL - len(kept) + 1, _FULL + 1)) and len(kept) < _FULL,
            "counted": spool.windows_dropped == 2 * (_FULL - len(kept)),
        }
    spool.put(make_report(1))
    spool.put(make_report(2))
    mount(folder, "remount", "ro")
    spool.put(make_report(3))
    refused, sent = spool.refuses, []
    report = spool.peek()
    assert report is not None
    sent.append(report.sequence)
    spool.pop()
    spool.put(make_report(4))
    mount(folder, "remount", "rw")
    spool.put(make_report(5))
    sent += drain(spool)
    return {
        "refused": refused,
        "sent": sent,
        "dropped": spool.windows_dropped,
        "refuses after": spool.refuses,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
