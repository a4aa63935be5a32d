"""Several links between two clusters: equal ones that share the flows (ECMP), and ones that stand by."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import pytest

from netprobe.model.component import ComponentKind
from netprobe.model.finding import Cause
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory, Link, LinkKind
from netprobe.model.snapshot import Snapshot
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.render.graph import build_graph
from netprobe.render.labels import Names, headline
from netprobe.render.terminal.tables import render_text, topology_table
from netprobe.simulate.faults import make_fault
from tests.scenarios.player import (
    SECOND,
    T0,
    Outcome,
    at,
    play,
)
from tests.scenarios.test_single_faults import IN_TIME_S
from tests.unit.planning.test_links import ONE, TWO, A, B, build_twice_joined, join

Fleet = tuple[Inventory, FleetPlan]
FIRST, SECOND_LINK = "wireguard:a–b gw–gw", "wireguard:a–b gw2–gw2"
TUNNEL, LINE = "wireguard:a–b", "direct:a–b"
KINDS = ("tunnel-down", "tunnel-lossy", "tunnel-one-way")


def planned(inventory: Inventory) -> Fleet:
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=SECOND, cookie_key=b"key")


@cache
def balanced() -> Fleet:
    """Two gateways on each side, all active; each flow takes the link that a hash chooses."""
    built = shrink(build_twice_joined(A, B))
    return planned(replace(built, links=tuple(replace(link, balanced=True) for link in built.links)))


def shrink(inventory: Inventory, *, without: str = "w2") -> Inventory:
    """A node fewer in each cluster: these scenarios need links, not nodes."""
    return replace(
        inventory,
        clusters=tuple(
            replace(each, nodes=tuple(node for node in each.nodes if node.name != without))
            for each in inventory.clusters
        ),
    )


def addressed(link: Link, number: int) -> Link:
    return replace(link, source_addresses=(f"10.99.{number}.1",), target_addresses=(f"10.99.{number}.2",))


def twice_between_the_same_gateways(*, balanced: bool = False, with_addresses: bool = True) -> Inventory:
    """A tunnel and a direct line between the one gateway of each cluster."""
    built = shrink(build_twice_joined(A, B), without=TWO)
    links = (join(A, B, ONE), join(A, B, ONE, LinkKind.DIRECT))
    shared = tuple(replace(link, balanced=balanced) for link in links)
    return replace(built, links=tuple(map(addressed, shared, (1, 2))) if with_addresses else shared)


@cache
def tunnel_and_line(*, balanced: bool) -> Fleet:
    return planned(twice_between_the_same_gateways(balanced=balanced))


@cache
def standing_by() -> Fleet:
    """The second gateway of each cluster is passive; its tunnel is up all the same."""
    built = shrink(build_twice_joined(A, B, passive=True))
    return planned(replace(built, links=tuple(map(addressed, built.links, (1, 2)))))


def strike(fleet: Fleet, kind: str, link: str, *, seed: int) -> tuple[Outcome, str]:
    fault = make_fault(fleet[0], kind, {"source": A, "target": B, "link": link})
    fraction = Random(seed).random()
    broken = at(fault, 8 + fraction, end_s=16.3 + fraction)
    return play([broken], seed=seed, intervals=25, on=fleet), broken.name


@pytest.mark.parametrize("link", [FIRST, SECOND_LINK])
@pytest.mark.parametrize("kind", KINDS)
def test_the_broken_one_of_two_equal_links_is_named_and_nothing_else(kind: str, link: str) -> None:
    outcome, name = strike(balanced(), kind, link, seed=1)
    assert outcome.false == {}
    assert outcome.named_after_s.get(name, 99.0) <= 2 * IN_TIME_S
    assert outcome.left_open == ()


@pytest.mark.parametrize(
    ("kind", "link", "is_balanced"),
    [
        *(pytest.param(kind, link, False, id=f"{kind}, {link}") for kind in KINDS for link in (TUNNEL, LINE)),
        *(pytest.param(kind, LINE, True, id=f"{kind}, {LINE}, both share") for kind in KINDS[:2]),
    ],
)
def test_of_two_links_between_the_same_gateways_the_right_one_is_named(
    kind: str, link: str, is_balanced: bool
) -> None:
    outcome, name = strike(tunnel_and_line(balanced=is_balanced), kind, link, seed=4)
    assert outcome.false == {}
    assert outcome.named_after_s.get(name, 99.0) <= 2 * IN_TIME_S
    assert outcome.left_open == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_that_stands_by_is_watched_too(kind: str) -> None:
    outcome, name = strike(standing_by(), kind, SECOND_LINK, seed=5)
    assert outcome.false == {}
    assert outcome.named_after_s.get(name, 99.0) <= 2 * IN_TIME_S
    assert outcome.left_open == ()


@pytest.mark.parametrize(
    "fleet", [balanced, lambda: tunnel_and_line(balanced=False), standing_by], ids=["equal", "two", "standby"]
)
def test_a_healthy_fleet_with_several_links_has_no_finding(fleet: object) -> None:
    assert callable(fleet)
    assert play([], seed=6, intervals=20, on=fleet()).false == {}


def test_equal_links_that_nothing_tells_apart_are_accused_together() -> None:
    """No address leads over one of them alone, so a flow that dies says only that it took the dead one."""
    fleet = planned(twice_between_the_same_gateways(balanced=True, with_addresses=False))
    fault = make_fault(fleet[0], "tunnel-down", {"source": A, "target": B, "link": TUNNEL})
    outcome = play([at(fault, 8.4, end_s=30)], seed=7, intervals=15, on=fleet, keep=True)
    (finding,) = outcome.conclusions[-1][1].findings
    assert finding.cause is Cause.TUNNEL_DOWN
    suspected = {*finding.components, *finding.indistinguishable}
    assert {str(part) for part in suspected if part.kind is ComponentKind.TUNNEL} == {
        f"tunnel({one}→{other} {link})" for one, other in ((A, B), (B, A)) for link in (TUNNEL, LINE)
    }


def test_the_map_draws_both_links_and_only_the_dead_one_broken() -> None:
    inventory, fleet = tunnel_and_line(balanced=False)
    fault = make_fault(inventory, "tunnel-down", {"source": A, "target": B, "link": LINE})
    outcome = play([at(fault, 8.4, end_s=30)], seed=3, intervals=16, on=(inventory, fleet), keep=True)
    now_s, said = outcome.conclusions[-1]
    checks = fleet.checks
    snapshot = Snapshot(
        T0 + int(now_s * SECOND), SECOND, inventory, checks, fleet.legs, fleet.coverage,
        said.paths, said.agents, said.findings,
    )  # fmt: skip
    edges = build_graph(snapshot).edges(keys=True, data=True)
    states = {key: data["state"] for *_, key, data in edges if data["kind"] == "tunnel"}
    assert states == {
        f"tunnel({one}→{other} {link})": state
        for one, other in ((A, B), (B, A))
        for link, state in ((TUNNEL, "up"), (LINE, "down"))
    }
    (finding,) = said.findings
    assert headline(finding, Names.of(inventory)) == f"link {A} ↔ {B} ({LINE}) is down"
    table = render_text(topology_table(snapshot), width=80)
    assert max(map(len, table.splitlines())) <= 80
    assert table.count("wireguard") >= 2, "each direction of the tunnel"
    assert table.count("direct") >= 2
