"""Programs of fabrics, built once from their Go modules and kept beside Kubernetes.

``python -m tests.e2e.cluster.fabric_build`` prints them; ``make e2e-fabrics`` does it before it tests. Both
are built by one module of ours, which pins their versions in its go.sum, because they share most packages.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster.kubernetes_build import build_program, cache, digest

GATEWAY = "submariner-gateway"
LIGHTHOUSE = "lighthouse-agent"
_PACKAGES = {
    GATEWAY: "github.com/submariner-io/submariner",
    LIGHTHOUSE: "github.com/submariner-io/lighthouse/pkg/agent",
}
_MODULE = "submariner"


def program(name: str) -> Path:
    """Where a program of exactly these sources is kept, whether it is built yet or not."""
    return cache() / f"{_MODULE}-{digest(_MODULE)}" / name


def build_fabrics() -> tuple[Path, ...]:
    """Build what is missing; what the Go tool says goes to stderr."""
    for name, package in _PACKAGES.items():
        program(name).parent.mkdir(parents=True, exist_ok=True)
        build_program(_MODULE, program(name), package=package)
    return tuple(map(program, _PACKAGES))


if __name__ == "__main__":
    print(*build_fabrics(), sep="\n")
