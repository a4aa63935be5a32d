"""CRDs of fabrics, from their Go modules: pinned by version, checked by Go's checksum database.

Go keeps the modules in its cache; nothing of them is in this repository.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

SUBMARINER = "github.com/submariner-io/submariner@v0.24.0"
MODULES = {
    "Submariner": (SUBMARINER, "deploy/crds"),
    "Liqo": ("github.com/liqotech/liqo@v1.2.0", "deployments/liqo/charts/liqo-crds/crds"),
    "MCS API": ("sigs.k8s.io/mcs-api@v0.5.2", "config/crd"),
}
"""By fabric: where its own CRDs are; those of the others are in no module that is served."""
_PATIENCE_S = 120


def find_folder(fabric: str) -> Path:
    """The CRDs of a fabric; the test is skipped where the module cannot be had."""
    module, folder = MODULES[fabric]
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    ran = subprocess.run(
        ["go", "mod", "download", "-json", module],
        capture_output=True, text=True, check=False, timeout=_PATIENCE_S, cwd=Path("/"),
    )  # fmt: skip
    if ran.returncode:
        pytest.skip(f"{module} cannot be downloaded: {ran.stderr or ran.stdout}")
    return Path(json.loads(ran.stdout)["Dir"]) / folder


def find_crds(plurals: Iterable[str]) -> tuple[Path, ...]:
    """The files of these kinds of Submariner."""
    folder = find_folder("Submariner")
    return tuple(folder / f"submariner.io_{plural}.yaml" for plural in plurals)


def read_schemas(fabric: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """By group and plural the schema of each version of a fabric's kinds."""
    return {
        (found["spec"]["group"], found["spec"]["names"]["plural"]): [
            version["schema"]["openAPIV3Schema"] for version in found["spec"]["versions"]
        ]
        for found in _read_definitions(find_folder(fabric))
    }


def _read_definitions(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.yaml")):
        for found in yaml.safe_load_all(file.read_text()):
            if found and found.get("kind") == "CustomResourceDefinition":
                yield found
