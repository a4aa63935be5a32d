"""Links that balance the flows between two clusters, and links whose ends have their own addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.model.check import Check, Legs
from netprobe.model.component import Component, ComponentKind, tunnel
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory, LinkKind
from netprobe.model.names import AgentId
from netprobe.planning.checks import count_flows
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import find_routes
from tests.unit.planning.test_links import (
    LARGE,
    ONE,
    SMALL,
    TWO,
    A,
    B,
    both_sizes,
    build_twice_joined,
    join,
    plan,
)  # fmt: skip

FIRST, SECOND = (tunnel(A, B, link=f"wireguard:a–b {gateway}–{gateway}") for gateway in (ONE, TWO))


def balanced(inventory: Inventory) -> Inventory:
    return replace(inventory, links=tuple(replace(link, balanced=True) for link in inventory.links))


def tunnels(fabric: ClusterGraph, source: str, target: str) -> list[Component]:
    routes = find_routes(fabric, source=AgentId.parse(source), target=AgentId.parse(target))
    return [part for route in routes for part in route if part.kind is ComponentKind.TUNNEL]


def legs_by_pair(fleet: FleetPlan, kind: str) -> list[tuple[Check, Legs]]:
    checks = {check.id: check for each in fleet.plans for check in each.checks}
    return [(checks[legs.check], legs) for legs in fleet.legs if checks[legs.check].probe.kind == kind]


def test_a_worker_may_take_either_link_and_a_gateway_takes_its_own() -> None:
    fabric = ClusterGraph(balanced(build_twice_joined(A, B)))
    assert tunnels(fabric, "a/w1/pod", "b/w1/pod") == [FIRST, SECOND]
    assert tunnels(fabric, "a/gw/pod", "b/w1/pod") == [FIRST]
    assert tunnels(fabric, "a/gw2/pod", "b/w1/pod") == [SECOND]
    assert tunnels(fabric, "a/gw2/pod", "b/gw2/pod") == [SECOND]


def test_without_the_word_the_first_link_carries_everything() -> None:
    built = build_twice_joined(A, B)
    assert tunnels(ClusterGraph(built), "a/w1/pod", "b/w1/pod") == [FIRST]
    second_only = replace(built, links=(built.links[0], replace(built.links[1], balanced=True)))
    assert tunnels(ClusterGraph(second_only), "a/w1/pod", "b/w1/pod") == [FIRST]


def test_one_link_that_several_active_gateways_hold_is_shared_by_them() -> None:
    built = build_twice_joined(A, B)
    link = replace(built.links[0], source_gateway=None, target_gateway=None, balanced=True)
    fabric = ClusterGraph(replace(built, links=(link,)))
    routes = find_routes(fabric, source=AgentId.parse("a/w1/pod"), target=AgentId.parse("b/w1/pod"))
    held_by = [
        [str(part.source) for part in route if part.kind is ComponentKind.GATEWAY_OUT] for route in routes
    ]
    assert held_by == [["a/gw"], ["a/gw2"]]


def test_a_passive_gateway_shares_nothing() -> None:
    fabric = ClusterGraph(balanced(build_twice_joined(A, B, passive=True)))
    assert tunnels(fabric, "a/w1/pod", "b/w1/pod") == [FIRST]


@both_sizes
def test_flows_rotate_until_each_had_its_turn(policy: PlanPolicy) -> None:
    inventory = balanced(build_twice_joined(A, B))
    asked: dict[int, set[str]] = {}
    for epoch in range(3):
        pairs = legs_by_pair(plan(inventory, policy, epoch=epoch), "udp")
        flows = {check.probe.option("flow") for check, legs in pairs if legs.is_one_of_several} - {"", "new"}
        assert len(flows) == policy.flows
        asked[epoch] = flows
    assert set.union(*asked.values()) == {str(flow) for flow in range(1, 1 + count_flows(2))}


@both_sizes
def test_both_links_are_covered_and_never_alike(policy: PlanPolicy) -> None:
    coverage = plan(balanced(build_twice_joined(A, B)), policy).coverage
    assert coverage.uncovered == ()
    assert not any({FIRST, SECOND} <= set(group) for group in coverage.classes)


def test_a_plain_fleet_asks_no_numbered_flows() -> None:
    asked = legs_by_pair(plan(build_twice_joined(A, B)), "udp")
    assert {check.probe.option("flow") for check, _ in asked} == {"", "new"}


class TestLinkEnds:
    """A link whose ends have their own addresses is asked there, regardless of route preference."""

    @staticmethod
    def build(*, with_addresses: bool = True) -> Inventory:
        built = build_twice_joined(A, B)
        twin = join(A, B, ONE, LinkKind.DIRECT)
        if with_addresses:
            twin = replace(twin, source_addresses=("10.99.0.1",), target_addresses=("10.99.0.2",))
        return replace(built, links=(built.links[0], twin))

    @both_sizes
    def test_a_second_link_between_the_same_gateways_is_covered_and_told_apart(
        self, policy: PlanPolicy
    ) -> None:
        coverage = plan(self.build(), policy).coverage
        both = {tunnel(A, B, link=f"{name}:a–b") for name in ("wireguard", "direct")}
        assert coverage.uncovered == ()
        assert not any(both <= set(group) for group in coverage.classes)
        assert plan(self.build(with_addresses=False), policy).coverage.uncovered != ()

    @pytest.mark.parametrize("policy", [SMALL, LARGE], ids=["full mesh", "sparse"])
    def test_its_packets_cross_that_link_alone_and_are_expected_there(self, policy: PlanPolicy) -> None:
        fleet = plan(self.build(), policy)
        there = [(c, legs) for c, legs in legs_by_pair(fleet, "udp") if c.target.address == "10.99.0.2"]
        assert [str(check.source) for check, _ in there] == ["a/gw/host"] * 3
        for _, legs in there:
            crossed = [str(part) for part in legs.forward]
            assert crossed == [
                "node-out(a/gw)", "tunnel(a→b direct:a–b)", "node-in(b/gw)", "firewall-rule(b/gw udp/9771)",
            ]  # fmt: skip
        answering = next(each for each in fleet.plans if str(each.agent) == "b/gw/host")
        assert "10.99.0.1" in dict(answering.peers)[AgentId.parse("a/gw/host")]
        assert "10.99.0.2/32" in answering.askable or any("10.99.0" in cidr for cidr in answering.askable)

    def test_a_tunnel_that_a_passive_gateway_holds_is_covered(self) -> None:
        built = build_twice_joined(A, B, passive=True)
        standby = replace(built.links[1], source_addresses=("10.99.0.1",), target_addresses=("10.99.0.2",))
        fleet = plan(replace(built, links=(built.links[0], standby)))
        crossed = {part for legs in fleet.legs for part in legs.crossed}
        assert {SECOND, tunnel(B, A, link=SECOND.link)} <= crossed
