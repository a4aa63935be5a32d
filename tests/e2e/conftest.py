"""Two real clusters for the tests: our own, brought up once, or those that NETPROBE_E2E_CONTEXTS names."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster.client import Clusters, why_no_nodes, why_not
from tests.e2e.cluster.figures import tell, told
from tests.e2e.cluster.node_images import (
    AGENT,
    COLLECTOR,
    Image,
    archive_of,
    bake,
)

HERE = Path(__file__).parent
EXISTING = tuple(os.environ.get("NETPROBE_E2E_CONTEXTS", "").split())


STANDING: list[Clusters] = []
"""The clusters of this run, once they stand."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark ours, and put those with real nodes last: the others' pods must not find a node that runs them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: "nodes" in getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was measured on the way."""
    if lines := told():
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="module", autouse=True)
def as_found() -> Iterator[None]:
    """Every file leaves the clusters as it found them."""
    yield
    for found in STANDING:
        found.expect_as_found()


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Clusters of our own, to do with as we like."""
    if EXISTING:
        pytest.skip("makes objects and kills API servers: not on the contexts of NETPROBE_E2E_CONTEXTS")
    if reason := why_not():
        pytest.skip(reason)
    began = time.monotonic()
    found = Clusters(tmp_path_factory.mktemp("clusters"))
    tell(f"control planes of both clusters: {time.monotonic() - began:.0f} s")
    STANDING.append(found)
    try:
        yield found
    finally:
        STANDING.clear()
        found.close()


@pytest.fixture(scope="session")
def contexts(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Names of the contexts to ask; ``KUBECONFIG`` leads to them."""
    if EXISTING:
        return EXISTING
    own: Clusters = request.getfixturevalue("clusters")
    os.environ["KUBECONFIG"] = own.environment
    return tuple(own.kubeconfigs)


@pytest.fixture(scope="session")
def nodes(clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Clusters:
    """The same clusters with their nodes: kubelets, pods, kube-proxy, DNS."""
    if reason := why_no_nodes():
        pytest.skip(reason)
    began = time.monotonic()
    clusters.start_nodes(tmp_path_factory.mktemp("nodes"))
    tell(f"three nodes with DNS: {time.monotonic() - began:.0f} s more")
    return clusters


@pytest.fixture(scope="session")
def agent_image(nodes: Clusters) -> str:
    """The archive of the agents' image, built from its Dockerfile."""
    del nodes
    return _bake(AGENT)


@pytest.fixture(scope="session")
def collector_image(nodes: Clusters) -> str:
    """The archive of the collector's image, built from its Dockerfile."""
    del nodes
    return _bake(COLLECTOR)


def _bake(image: Image) -> str:
    if shutil.which("buildah") is None and not archive_of(image).exists():
        pytest.skip("buildah is not installed: run `make e2e` as root")
    return str(bake(image))
