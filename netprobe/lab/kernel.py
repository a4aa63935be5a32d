"""System calls that Python 3.11 does not offer: namespaces and mounts.

Rule: every failure is raised as :class:`~netprobe.errors.SystemRefusedError` with the operation that failed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from netprobe.errors import SystemRefusedError

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x4_0000
_MS_NOSUID = 0x2
_MS_NODEV = 0x4

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise SystemRefusedError(f"{what}: {os.strerror(ctypes.get_errno())}")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (unshare(2))."""
    what = "user namespaces are not allowed here" if flags & CLONE_NEWUSER else "cannot make namespaces"
    _check(_libc.unshare(ctypes.c_int(flags)), what)


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind *fd* (setns(2))."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "cannot enter a namespace")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = [text.encode() for text in (source, target, kind)]
    result = _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode())
    _check(result, f"cannot mount {kind or source} on {target}")


def make_mounts_private() -> None:
    """Hide later mounts from the outside."""
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def mount_proc() -> None:
    """Show the processes of this PID namespace in ``/proc``."""
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)


def mount_tmpfs(target: Path) -> None:
    """Mount an empty in-memory file system on *target*."""
    _mount("tmpfs", str(target), "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755")


def bind(source: Path | str, target: Path) -> None:
    """Bind-mount *source* on *target*."""
    _mount(str(source), str(target), "", _MS_BIND)


def become_root_of_user_namespace(*, uid: int, gid: int) -> None:
    """Map root of the new user namespace to *uid* and *gid* outside (user_namespaces(7))."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
