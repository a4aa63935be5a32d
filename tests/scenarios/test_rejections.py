"""What came back instead of an answer decides the name: a loop, a filter, or the way below a link."""

from __future__ import annotations

import pytest

from netprobe.model.component import (
    Component,
    ComponentKind,
    dns,
    gateway_in,
    gateway_out,
    node_in,
    pod_in,
    tunnel,
)
from netprobe.model.finding import Cause, Finding
from netprobe.model.names import ClusterName, NodeId
from netprobe.simulate.effects import Effect, Lose, Reject
from tests.scenarios.player import default_fleet, play_effects

PROD, STAGING = ClusterName("prod-us-west-1"), ClusterName("staging-eu-central-1")
THERE, BACK = tunnel(PROD, STAGING), tunnel(STAGING, PROD)
WORKER = NodeId.parse(f"{STAGING}/w1")
EXPIRED, PROHIBITED = (11, 0), (3, 13)


def address(node: NodeId) -> str:
    inventory, _ = default_fleet()
    found = inventory.find_node(node)
    assert found
    return found.host_addresses[0]


def play(*effects: Effect) -> tuple[Finding, ...]:
    return play_effects(effects, intervals=12).findings


def test_a_loop_is_named_with_the_hosts_that_sent_the_errors() -> None:
    (finding,) = play(Reject(pod_in(WORKER), address(WORKER), EXPIRED))
    assert (finding.cause, finding.components) == (Cause.ROUTING_LOOP, (pod_in(WORKER),))
    assert str(WORKER) in str(finding.summary)


def test_a_filter_that_says_so_is_named_with_its_host() -> None:
    (finding,) = play(Reject(node_in(WORKER), address(WORKER), PROHIBITED))
    assert finding.cause is Cause.POLICY_REJECT
    assert f"{WORKER} ({address(WORKER)})" in str(finding.summary)
    assert any("administratively prohibited" in str(one.text) for one in finding.evidence_for)


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_link_whose_outer_addresses_are_silent_is_one_finding_about_what_is_below(both_ways: bool) -> None:
    _, plan = default_fleet()
    beneath = {
        part
        for legs in plan.legs
        for part in legs.forward
        if part.kind is ComponentKind.UNDERLAY and part.ends == THERE.ends
    }
    dead: set[Component] = {THERE, *(beneath if not both_ways else (*beneath, BACK))}
    (finding,) = play(*map(Lose, sorted(dead)))
    assert finding.cause is Cause.TUNNEL_DOWN
    assert set(finding.components) == ({THERE, BACK} if both_ways else {THERE})
    assert "below the tunnel" in str(finding.summary)


def test_a_link_whose_outer_addresses_answer_is_the_tunnels_fault() -> None:
    (finding,) = play(Lose(THERE), Lose(BACK))
    assert "outer addresses answer" in str(finding.summary)


def test_a_gateway_without_its_uplink_is_one_finding_that_says_so() -> None:
    _, plan = default_fleet()
    gateway = NodeId.parse(f"{STAGING}/gw")
    beneath = {
        part
        for legs in plan.legs
        for part in legs.forward
        if part.kind is ComponentKind.UNDERLAY and STAGING in part.clusters
    }
    (finding,) = play(*map(Lose, sorted({gateway_out(gateway), gateway_in(gateway), *beneath})))
    assert (finding.cause, set(finding.components)) == (
        Cause.GATEWAY_DOWN,
        {gateway_out(gateway), gateway_in(gateway)},
    )
    assert "its uplink is down" in str(finding.summary)


def test_a_gateway_whose_outer_addresses_answer_does_not_forward() -> None:
    gateway = NodeId.parse(f"{STAGING}/gw")
    (finding,) = play(Lose(gateway_out(gateway)), Lose(gateway_in(gateway)))
    assert "forwards no packets" in str(finding.summary)


def test_a_dns_service_without_endpoints_is_rejected_by_every_proxy_and_down() -> None:
    """kube-proxy answers with port unreachable from the asking node's address."""
    (finding,) = play(Reject(dns(STAGING), address(WORKER), (3, 3)))
    assert (finding.cause, finding.components) == (Cause.DNS_DOWN, (dns(STAGING),))
