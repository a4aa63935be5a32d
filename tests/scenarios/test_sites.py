"""A site of plain hosts beside two clusters: what breaks in it is named, and pictures and tables show it."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from netprobe.analysis.analyst import Conclusion
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName, Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.render.graph import build_graph
from netprobe.render.reachability import Level, read_matrix
from netprobe.render.terminal.matrix import matrix_table
from netprobe.render.terminal.tables import findings_table, render_text, topology_table
from netprobe.simulate.faults import make_fault
from tests.scenarios.default_topology import PROD, SHAPE, STAGING, build_cluster
from tests.scenarios.player import (
    SECOND,
    T0,
    at,
    play,
)
from tests.scenarios.test_single_faults import IN_TIME_S

SITE = ClusterName("warehouse")
GW, BOX = NodeName("gw"), NodeName("box")

FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "the tunnel of the site's gateway": ("tunnel-down", {"source": PROD, "target": SITE}),
    "one direction of it": ("tunnel-one-way", {"source": SITE, "target": STAGING}),
    "its MTU": ("mtu-black-hole", {"source": PROD, "target": SITE}),
    "a host of the site": ("node-down", {"node": f"{SITE}/{BOX}"}),
    "the site's gateway": ("gateway-down", {"cluster": SITE}),
    "the agent on a host": ("agent-killed", {"agent": f"{SITE}/{BOX}/host"}),
}


@cache
def fleet_with_a_site() -> tuple[Inventory, FleetPlan]:
    """Two clusters and a site, a tunnel between any two; the site has neither pods, services nor DNS."""
    clusters = tuple(build_cluster(name, SHAPE[name], i + 1) for i, name in enumerate((PROD, STAGING)))
    hosts = (
        Node(GW, NodeRole.GATEWAY, ("192.168.9.10",), outer_addresses=("203.0.113.9",)),
        Node(BOX, NodeRole.WORKER, ("192.168.9.11",)),
    )
    links = tuple(
        Link(one, other, LinkKind.TUNNEL, "wireguard", GW, GW, 1420, 51820 + number)
        for number, (one, other) in enumerate(((PROD, STAGING), (PROD, SITE), (STAGING, SITE)))
    )
    inventory = Inventory((*clusters, Cluster(SITE, hosts, is_site=True)), links)
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key")


def look(said: Conclusion, *, now_s: float) -> Snapshot:
    inventory, fleet = fleet_with_a_site()
    checks = fleet.checks
    return Snapshot(
        T0 + int(now_s * SECOND), SECOND, inventory, checks, fleet.legs, fleet.coverage,
        said.paths, said.agents, said.findings,
    )  # fmt: skip


def test_a_site_is_asked_and_asks_from_the_host_plane_alone() -> None:
    _, fleet = fleet_with_a_site()
    checks = fleet.checks
    asked = {(check.source.cluster, check.target.node.cluster) for check in checks if check.target.node}
    assert {(PROD, SITE), (SITE, PROD), (SITE, STAGING), (SITE, SITE)} <= asked
    planes = {plan.agent.plane for plan in fleet.plans if plan.agent.cluster == SITE}
    assert planes == {Plane.HOST}
    large = {check.probe.size for check in checks if check.source.cluster == SITE and check.probe.size}
    assert large == {1370}, "no more than the clusters' pods may send"


def test_a_healthy_fleet_with_a_site_has_no_finding() -> None:
    outcome = play([], seed=5, intervals=30, on=fleet_with_a_site(), keep=True)
    assert outcome.false == {}
    assert {status.state for status in outcome.conclusions[-1][1].paths} == {PathState.UP}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_in_a_site_is_named_right_in_time_and_nothing_else(what: str) -> None:
    kind, parameters = FAULTS[what]
    seed = list(FAULTS).index(what)
    fraction = Random(seed).random()
    fault = make_fault(fleet_with_a_site()[0], kind, parameters)
    broken = at(fault, 8 + fraction, end_s=15.3 + fraction)
    outcome = play([broken], seed=seed, intervals=26, on=fleet_with_a_site())
    assert outcome.false == {}
    assert outcome.named_after_s.get(broken.name, 99.0) <= IN_TIME_S
    assert outcome.left_open == ()


def test_map_and_matrix_show_the_site_and_what_is_broken_in_it() -> None:
    fault = make_fault(fleet_with_a_site()[0], "tunnel-down", {"source": PROD, "target": SITE})
    outcome = play([at(fault, 8.4, end_s=30)], seed=3, intervals=16, on=fleet_with_a_site(), keep=True)
    now_s, said = outcome.conclusions[-1]
    snapshot = look(said, now_s=now_s)
    graph = build_graph(snapshot)
    states = {key: data.get("state") for *_, key, data in graph.edges(keys=True, data=True)}
    assert {states[f"tunnel({PROD}→{SITE})"], states[f"tunnel({SITE}→{PROD})"]} == {"down"}
    assert states[f"tunnel({STAGING}→{SITE})"] == "up"
    assert {f"{SITE}/{GW}", f"{SITE}/{BOX}", f"{SITE}/{BOX}/host"} <= set(graph)
    cells = read_matrix(snapshot, level=Level.CLUSTER).cells
    assert cells[PROD, SITE].state is cells[SITE, PROD].state is PathState.DOWN
    assert cells[STAGING, SITE].state is cells[SITE, SITE].state is PathState.UP
    for table in (topology_table, matrix_table, findings_table):
        text = render_text(table(snapshot), width=80)
        assert SITE in text
        assert max(map(len, text.splitlines())) <= 80
