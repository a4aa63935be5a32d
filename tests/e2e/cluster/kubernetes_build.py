"""Kubernetes, etcd and CoreDNS, built once from their Go modules and kept outside the tree.

``python -m tests.e2e.cluster.kubernetes_build`` prints the folder. The modules are pinned by the go.sum
files beside this one. A build takes 7 to 10 minutes on two quiet cores; a build that is there is used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

KUBERNETES = "1.36.2"
_HERE = Path(__file__).parent
_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES.split(".")


def folder() -> Path:
    """Where the programs of exactly these sources are kept, whether they are built yet or not."""
    return cache() / f"{KUBERNETES}-{digest('kubernetes', 'etcd')}"


def coredns() -> Path:
    """Where CoreDNS is kept."""
    return cache() / f"coredns-{digest('coredns')}"


def cache() -> Path:
    """Where everything that is built once is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netprobe-e2e"


def digest(*kinds: str) -> str:
    """What changes with any source of these folders beside this file."""
    sources = sorted(path for kind in kinds for path in (_HERE / kind).rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def is_built() -> bool:
    """Whether nothing needs building."""
    programs = (folder() / name for name in ("etcd", "kubernetes", *_PROGRAMS))
    return all(path.exists() for path in (*programs, coredns()))


def build() -> Path:
    """Build what is missing and return the folder; what the Go tool says goes to stderr."""
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    flags = (
        f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor={_MAJOR} "
        f"-X {_VERSION}.gitMinor={_MINOR}"
    )
    build_program("etcd", target / "etcd")
    build_program("kubernetes", target / "kubernetes", flags=flags)
    build_program("coredns", coredns())
    for name in _PROGRAMS:
        link = target / name
        if not link.exists():
            link.symlink_to("kubernetes")
    return target


def build_program(kind: str, target: Path, *, package: str = ".", flags: str = "-s -w") -> None:
    """Build *package* by the module in the folder *kind* beside this file, unless *target* is there."""
    if target.exists():
        return
    print(f"building {target.name} into {target.parent}", file=sys.stderr, flush=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath"}
    try:
        subprocess.run(
            ["go", "build", "-ldflags", flags, "-o", str(unfinished), package],
            cwd=_HERE / kind,
            env=environment,
            check=True,
        )
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    print(build())
