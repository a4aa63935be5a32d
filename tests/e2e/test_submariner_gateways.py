"""Submariner's own gateways carry the pods' packets: netprobe reads what they write, and holds it to account.

There is no inventory file. The tunnel is cut by dropping its UDP port between the segments; each finding must
quote the gateway's claim, for it or against it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.real_fabric_runs import RealRun, add_run, forget_runs
from netprobe.discovery.fabrics.submariner import NAME
from netprobe.lab.fault_drill import describe_unhealthy
from netprobe.model.finding import Cause, Finding
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.snapshot import topology_document
from tests.e2e.cluster.client import Clusters
from tests.e2e.cluster.fabric_build import GATEWAY, program
from tests.e2e.cluster.figures import tell
from tests.e2e.installed_fleet import InstalledFleet, install_fleet
from tests.e2e.submariner_pair import CABLE_PORT, GATEWAYS, SubmarinerPair, submariner_pair
from tests.e2e.test_clusters import PROD, STAGING
from tests.e2e.test_visit import FORWARD, broken

pytestmark = pytest.mark.timeout(1800)
TUNNEL = {f"tunnel({PROD}→{STAGING})", f"tunnel({STAGING}→{PROD})"}
CUT = f"{FORWARD}; add rule inet broken forward udp dport {CABLE_PORT} drop"
NO_PINGS = (
    "add chain inet broken input { type filter hook input priority 0; }; "
    "add rule inet broken input iifname vxlan-tunnel icmp type echo-request drop"
)
"""A gateway that answers no ping through the tunnel; pods behind it do."""


@pytest.fixture(scope="module")
def pair(nodes: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SubmarinerPair]:
    forget_runs(NAME)
    with submariner_pair(nodes, tmp_path_factory.mktemp("submariner")) as made:
        made.start(health_check=True)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def fleet(
    pair: SubmarinerPair, agent_image: str, collector_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InstalledFleet]:
    images, folder = (agent_image, collector_image), tmp_path_factory.mktemp("operator")
    with install_fleet(pair.clusters, images, folder, words=("--with", "submariner")) as installed:
        yield installed


@contextmanager
def without_health_check(pair: SubmarinerPair) -> Iterator[None]:
    pair.stop()
    pair.start(health_check=False)
    try:
        yield
    finally:
        pair.stop()
        pair.start(health_check=True)


def until_joined(fleet: InstalledFleet) -> Snapshot:
    """Ask until the link is there and well, some intervals after the gateways wrote their objects again.

    A gateway that stops takes its objects with it. Clusters that nothing joins are healthy, too.
    """
    seen = fleet.until_healthy()
    later_ns = time.time_ns() + 5 * seen.interval_ns
    return fleet.until(
        lambda now: now.taken_ns > later_ns and bool(now.inventory.links) and not describe_unhealthy(now)
    )


def received(clusters: Clusters, node: str) -> int:
    """Packets that have come out of the tunnel at a node."""
    (link,) = json.loads(clusters.at(node, "ip", "-s", "-j", "link", "show", "vxlan-tunnel"))
    return int(link["stats64"]["rx"]["packets"])


def of_cause(snapshot: Snapshot, cause: Cause) -> list[Finding]:
    return [found for found in snapshot.findings if found.cause is cause]


def parts(found: Finding) -> set[str]:
    return {str(part) for part in found.components}


def quoted(texts: Any) -> list[str]:
    return [str(one.text) for one in texts if str(one.text).startswith("Submariner, gateways")]


def test_the_gateways_objects_are_the_topology(fleet: InstalledFleet, pair: SubmarinerPair) -> None:
    snapshot = fleet.until(lambda now: bool(now.inventory.links))
    document: Any = topology_document(snapshot)
    there, back = document["links"]
    ends = {(one["source_gateway"], one["target_gateway"]) for one in (there, back)}
    near, far = f"{PROD}/prod-1", f"{STAGING}/staging-1"
    assert ends == {(near, far), (far, near)}
    assert (there["mechanism"], there["outer_port"], there["known_from"]) == (
        "vxlan",
        CABLE_PORT,
        "Submariner",
    )
    found = {
        one["name"]: (one["role"], one["source"]) for each in document["clusters"] for one in each["nodes"]
    }
    assert found == {
        "prod-1": ("gateway", "Submariner"),
        "prod-2": ("worker", "Kubernetes API"),
        "staging-1": ("gateway", "Submariner"),
    }
    fleet.until_healthy()
    before = {node: received(pair.clusters, node) for node in GATEWAYS.values()}
    later = snapshot.taken_ns + 3 * snapshot.interval_ns
    fleet.until(lambda now: now.taken_ns > later)
    assert all(received(pair.clusters, node) > count for node, count in before.items()), (
        "no packet in the tunnel"
    )


def test_a_cut_tunnel_is_that_link_and_the_gateways_agree(fleet: InstalledFleet) -> None:
    """With its health check on, the claim follows the packets: evidence for the finding, no contradiction."""
    healthy = fleet.until_healthy()
    began_ns = time.time_ns()
    with broken(fleet.clusters, "router", CUT):
        snapshot = fleet.until(lambda now: bool(of_cause(now, Cause.TUNNEL_DOWN)))
        (first,) = of_cause(snapshot, Cause.TUNNEL_DOWN)
        assert parts(first) <= TUNNEL
        tell_late("tunnel-down", first, began_ns, healthy.interval_ns)
        said = fleet.until(
            lambda now: any("“error”" in text for one in of_cause(now, Cause.TUNNEL_DOWN)
                            for text in quoted(one.evidence_for)),
            never=Cause.STATUS_CONTRADICTED,
        )  # fmt: skip
        (found,) = of_cause(said, Cause.TUNNEL_DOWN)
        tell(f"claim: {quoted(found.evidence_for)[0]}")
    fleet.until_healthy(never=Cause.STATUS_CONTRADICTED)
    record("connection error, tunnel cut", is_contradicted=False)


def test_without_a_health_check_connected_is_contradicted(
    fleet: InstalledFleet, pair: SubmarinerPair
) -> None:
    with without_health_check(pair):
        healthy = until_joined(fleet)
        began_ns = time.time_ns()
        with broken(fleet.clusters, "router", CUT):
            snapshot = fleet.until(lambda now: bool(of_cause(now, Cause.STATUS_CONTRADICTED)))
            states = {one["status"] for name in GATEWAYS for one in pair.connections(name)}
            assert states == {"connected"}, "the gateways still call it so"
        (found,) = of_cause(snapshot, Cause.STATUS_CONTRADICTED)
        assert parts(found) <= TUNNEL
        assert quoted(found.evidence_for)
        assert all("“connected”" in text and "measured" in text for text in quoted(found.evidence_for))
        tell_late("status-contradicted", found, began_ns, healthy.interval_ns)
        (down,) = of_cause(snapshot, Cause.TUNNEL_DOWN)
        tell_late("tunnel-down without a health check", down, began_ns, healthy.interval_ns)
        assert quoted(down.evidence_against)
        fleet.until_healthy()
    record("connected without health check, tunnel cut", is_contradicted=True)


def test_an_error_over_a_tunnel_that_carries_is_contradicted(fleet: InstalledFleet) -> None:
    """The reverse: the gateways' own pings are dropped, and every pod's packet passes."""
    healthy = fleet.until_healthy()
    began_ns = time.time_ns()
    with broken(fleet.clusters, "staging-1", NO_PINGS):
        snapshot = fleet.until(
            lambda now: bool(of_cause(now, Cause.STATUS_CONTRADICTED)), never="tunnel|route|gateway"
        )
        (found,) = of_cause(snapshot, Cause.STATUS_CONTRADICTED)
        assert parts(found) <= TUNNEL
        assert any("“error”" in text for text in quoted(found.evidence_for))
        tell_late("status-contradicted, the reverse", found, began_ns, healthy.interval_ns)
    fleet.until_healthy()
    record("connection error, tunnel carries", is_contradicted=True)


def tell_late(what: str, found: Finding, began_ns: int, interval_ns: int) -> None:
    late = (found.first_seen_ns - began_ns) / interval_ns
    tell(f"{what}: found {late:.1f} intervals of {interval_ns / 1e9:g} s after the break")


def record(case: str, *, is_contradicted: bool) -> None:
    at = program(GATEWAY)
    add_run(RealRun(NAME, f"{at.parent.name}/{at.name}", case, is_contradicted))
