"""``netprobe verify -f FILE --context``: an intent held against two real clusters, nothing installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster.client import Clusters
from tests.e2e.cluster.figures import tell
from tests.e2e.test_clusters import PROD, STAGING
from tests.e2e.test_visit import FORWARD, broken
from tests.e2e.visits import BOTH, PATIENCE_S, interrupt, namespaces, start

pytestmark = pytest.mark.timeout(1200)
INTENT = """\
version: 1
groups:
  prod: {clusters: ["prod-*"], planes: [pod, host]}
  staging: {clusters: ["staging-*"], planes: [pod, host]}
  kubelets: {planes: [host]}
  api: {clusters: ["prod-*"], services: [default/kubernetes]}
rules:
  - name: agents
    verdict: allow
    from: [prod, staging]
    to: [prod, staging]
    ports: [icmp, tcp/9771, udp/9771]
  - {name: api, verdict: allow, from: prod, to: api, ports: [tcp/443]}
  - {name: kubelets, verdict: deny, from: kubelets, to: kubelets, scope: across, ports: [tcp/10250]}
"""
KUBELETS = f"{FORWARD}; add rule inet broken forward tcp dport 10250 drop"
TO_PODS = f"{FORWARD}; add rule inet broken forward ip daddr 10.42.0.0/16 tcp dport 9771 drop"
"""What a node of STAGING drops on the way to its own pods."""


@pytest.fixture(scope="module")
def staffed(nodes: Clusters, agent_image: str) -> Clusters:
    """Clusters whose nodes have the agents' image."""
    nodes.tell("import", agent_image)
    return nodes


@pytest.fixture
def intent(tmp_path: Path) -> str:
    path = tmp_path / "intent.yaml"
    path.write_text(INTENT)
    return str(path)


def verify(clusters: Clusters, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, every cell, and what was said meanwhile."""
    process = start(clusters, *BOTH, "-o", "json", *words)
    told, said = process.communicate(timeout=PATIENCE_S)
    print(said)
    return process.returncode, json.loads(told)["cells"] if told else [], said


@contextmanager
def without_kubelets_across(clusters: Clusters) -> Iterator[None]:
    """The router as the intent wants it: clusters do not reach each other's kubelets."""
    with broken(clusters, "router", KUBELETS):
        yield


def unlike(cells: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Cells that are not as intended: verdict and why, to read."""
    return {(cell["verdict"], cell["reason"]) for cell in cells if cell["verdict"] != "as intended"}


def test_an_intent_that_holds_is_told_so_and_nothing_is_left(staffed: Clusters, intent: str) -> None:
    with without_kubelets_across(staffed):
        code, cells, said = verify(staffed, "-f", intent)
    assert (code, unlike(cells)) == (0, set()), said
    # Six agents ask each other three ports, four of them the API, and hosts across: two and one, both ways.
    assert len(cells) == 6 * 5 * 3 + 4 + 4
    assert "not tested" not in said
    assert namespaces(staffed) == []
    tell(f"verify -f on a visit: {len(cells)} cells asked by 6 agents")


def test_a_blocked_port_is_broken_with_its_hop_and_an_open_one_is_a_leak(
    staffed: Clusters, intent: str
) -> None:
    with broken(staffed, "staging-1", TO_PODS):
        code, cells, said = verify(staffed, "-f", intent)
    assert code == 1, said
    pod = f"{STAGING}/staging-1/pod"
    differing = {
        (cell["verdict"], cell["source"].split("/")[0], cell["target"], cell["door"])
        for cell in cells
        if cell["verdict"] != "as intended"
    }
    hosts = {f"{PROD}/prod-1/host", f"{PROD}/prod-2/host"}
    assert differing == {
        ("broken", PROD, pod, "tcp/9771"),
        ("leak", PROD, f"{STAGING}/staging-1/host", "tcp/10250"),
        *(("leak", STAGING, host, "tcp/10250") for host in hosts),
    }
    dropped = [cell for cell in cells if cell["verdict"] == "broken"]
    assert len(dropped) == 4
    # The last that names the packet is the node that drops it; behind it there is only the pod.
    places = {cell["source"]: (cell["between"], cell["reason"]) for cell in dropped}
    assert {tuple(between) for between, _ in places.values()} == {("10.250.2.11", dropped[0]["address"])}, (
        json.dumps(places, indent=1)
    )
    assert namespaces(staffed) == []


def test_what_is_interrupted_leaves_nothing(staffed: Clusters, intent: str) -> None:
    code, said = interrupt(staffed, "-f", intent)
    assert code != 0, said
    assert namespaces(staffed) == []
