"""Runs the agent out of its archive; becomes the archive's ``__main__`` and knows nothing but Python itself.

The libraries lie in the archive; at the first start they are unpacked beside it, all or nothing.
"""

import importlib
import os
import shutil
import sys
import zipfile
from pathlib import Path


def _find_library(archive: Path) -> Path:
    library = archive.with_name("library")
    if library.is_dir():
        return library
    fresh = archive.with_name(f"library.{os.getpid()}")
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(fresh, [name for name in packed.namelist() if name.startswith("library/")])
        (fresh / "library").rename(library)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return library


if __name__ == "__main__":
    sys.path[0] = str(_find_library(Path(sys.argv[0]).resolve()))
    # By name: the library itself must not depend on the agent, and here it does not.
    importlib.import_module("netprobe_agent.main").main()
