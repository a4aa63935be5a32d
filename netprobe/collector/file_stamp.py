"""File stamps: whether a file was replaced or written since it was last read.

Rule: stamps are only compared with each other; a file that cannot be read has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

FileStamp: TypeAlias = tuple[int, int, int]
"""Inode, time of the last change in nanoseconds, size in bytes."""


def stamp_of(path: Path | None) -> FileStamp | None:
    """The stamp of *path*; None if there is no such file."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
