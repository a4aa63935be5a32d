"""Removes files from installed packages that no running program reads: tests, headers, type stubs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_FOLDERS = frozenset({"tests", "test", "testing_data", "include", "bin", "__pycache__"})
_SUFFIXES = (".pyi", ".pxd", ".pyx", ".h", ".c", ".a")


def prune(root: Path) -> None:
    """Remove these files below *root*."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _FOLDERS:
            shutil.rmtree(path)
        elif path.is_file() and path.suffix in _SUFFIXES:
            path.unlink()


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
