"""What kubectl makes of our overlays; each is rendered once."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from netprobe.wire.manifests import find_manifests

Object = dict[str, Any]
MANIFESTS = find_manifests()
OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
HUBS = tuple(name for name in OVERLAYS if name.startswith("hub"))
WORKLOADS = ("DaemonSet", "Deployment")

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@cache
def render(overlay: str) -> tuple[Object, ...]:
    """Every object of an overlay; not to be changed."""
    ran = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / "overlays" / overlay)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return tuple(found for found in yaml.safe_load_all(ran.stdout) if found)


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    """The objects of these kinds."""
    return [found for found in render(overlay) if found["kind"] in kinds]


def pod_of(workload: Object) -> Object:
    """The pod's spec."""
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers_of(overlay: str) -> list[Object]:
    """Every container of an overlay."""
    return [one for found in of_kind(overlay, *WORKLOADS) for one in pod_of(found)["containers"]]
