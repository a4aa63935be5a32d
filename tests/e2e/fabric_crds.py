"""Submariner's own CRDs, from its Go module: pinned by version, checked by Go's checksum database.

Go keeps the module in its cache; nothing of it is in this repository.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

SUBMARINER = "github.com/submariner-io/submariner@v0.24.0"
_PATIENCE_S = 120


def find_crds(plurals: Iterable[str]) -> tuple[Path, ...]:
    """The files of these kinds; the test is skipped where the module cannot be had."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    command = ["go", "mod", "download", "-json", SUBMARINER]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S, cwd=Path("/")
    )
    if ran.returncode:
        pytest.skip(f"{SUBMARINER} cannot be downloaded: {ran.stderr or ran.stdout}")
    folder = Path(json.loads(ran.stdout)["Dir"]) / "deploy/crds"
    return tuple(folder / f"submariner.io_{plural}.yaml" for plural in plurals)
