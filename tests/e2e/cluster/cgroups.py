"""Control groups of the nodes: the one thing of theirs that no namespace takes away with it.

Rule: everything lies below ``netprobe-e2e.PID`` of the process that holds the clusters. It removes them when
its clusters have ended; what a killed holder left behind, the next one removes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_SHARES = 16_384
"""Version 1 weighs the group against each single process beside it: with 1024 all pods together are one."""
_IDLE_SHARES = 64
"""As much as twenty processes of the policy SCHED_IDLE, which weigh 3 each; any other one weighs 1024. A
group that is idle as a whole (``cpu.idle``) weighs as much as one of them, and every pod starves."""
_PATIENCE_S = 10.0
_NAME = re.compile(r"netprobe-e2e\.(\d+)")


def why_not() -> str:
    """Why no group can be made here; empty where one can."""
    for hierarchy in _hierarchies():
        group = hierarchy / f"netprobe-e2e.{os.getpid()}"
        try:
            group.mkdir()
            group.rmdir()
        except OSError as error:
            return f"control groups cannot be made in {hierarchy}: {error.strerror}"
    return ""


def make_cgroups(name: str, node: str) -> str:
    """Groups for *node* in every hierarchy; return what the kubelet calls ``cgroupRoot``."""
    for hierarchy in _hierarchies():
        group = hierarchy
        for part in (name, node):
            group /= part
            group.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):  # version 1 begins with empty ones and then refuses
                if (group / file).exists():
                    (group / file).write_text((group.parent / file).read_text())
            if part == name:
                _weigh(group)
    return f"/{name}/{node}"


def _weigh(group: Path) -> None:
    """Give all pods their share: what idle processes get, where this one was started as such."""
    if (group / "cpu.shares").exists():
        is_idle = os.sched_getscheduler(0) == os.SCHED_IDLE
        (group / "cpu.shares").write_text(str(_IDLE_SHARES if is_idle else _SHARES))


def remove_cgroups(pid: int) -> None:
    """Remove the groups of the holder *pid*, whose processes have ended or are just ending."""
    _remove_all((f"netprobe-e2e.{pid}",), patience_s=_PATIENCE_S)


def remove_orphans() -> None:
    """Remove the groups of holders that are gone; ``/proc`` has to be that of the machine."""
    names = {group.name for hierarchy in _hierarchies() for group in hierarchy.glob("netprobe-e2e.*")}
    found = ((name, _NAME.fullmatch(name)) for name in names)
    orphans = (name for name, match in found if match and not Path(f"/proc/{match[1]}").exists())
    _remove_all(orphans, patience_s=0.0)


def _remove_all(names: Iterable[str], *, patience_s: float) -> None:
    names, until = tuple(names), time.monotonic() + patience_s
    while True:
        gone = [_remove(hierarchy / name) for hierarchy in _hierarchies() for name in names]
        if all(gone) or time.monotonic() > until:
            return
        time.sleep(0.05)


def _remove(group: Path) -> bool:
    """Remove *group* with all that is below it; False where a process in it is still ending."""
    if not group.exists():
        return True
    inner = [_remove(path) for path in group.iterdir() if path.is_dir()]
    try:
        group.rmdir()
    except OSError:
        return False
    return all(inner)


def _hierarchies() -> list[Path]:
    """The mounted hierarchies: several of version 1, or the one of version 2."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return sorted(path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink())
