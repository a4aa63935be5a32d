"""A part that loses one class of traffic is named with that class, and nothing else is blamed."""

from __future__ import annotations

import pytest

from netprobe.model.component import (
    Component,
    firewall_rule,
    gateway_in,
    gateway_out,
    node_in,
    node_out,
    tunnel,
)
from netprobe.model.finding import Cause, Finding
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.traffic import TrafficCondition
from netprobe.simulate.effects import Lose, SimulatedFault
from tests.scenarios.player import at, play_effects
from tests.scenarios.player import play as play_faults

PROD, STAGING, DEV = (ClusterName(x) for x in ("prod-us-west-1", "staging-eu-central-1", "dev-on-premise"))
PROD_GATEWAY, DEV_GATEWAY = NodeId.parse(f"{PROD}/gw"), NodeId.parse(f"{DEV}/gw")
WORKER = NodeId.parse(f"{STAGING}/w1")
THERE, BACK = tunnel(PROD, STAGING), tunnel(STAGING, PROD)
BREAK_S, INTERVALS = 6, 9
"""A finding needs no more than three whole intervals."""


def play(*lost: Lose, intervals: int = INTERVALS) -> tuple[Finding, ...]:
    """The findings some intervals after a fault began."""
    return play_effects(lost, intervals=intervals, begin_s=BREAK_S).findings


def only(attribute: str, value: str) -> tuple[TrafficCondition, ...]:
    return (TrafficCondition(attribute, value),)


TCP, ICMP, IPV6 = only("protocol", "tcp"), only("protocol", "icmp"), only("family", "IPv6")
PODS, FOREIGN = only("source plane", "pod"), only("scope", "between")


@pytest.mark.parametrize(
    ("parts", "traffic"),
    [
        pytest.param((THERE, BACK), TCP, id="TCP over a tunnel"),
        pytest.param((THERE,), IPV6, id="IPv6 over a tunnel, one way"),
        pytest.param((THERE,), PODS, id="a tunnel that knows node addresses only"),
        pytest.param((node_in(WORKER),), IPV6, id="IPv6 into a node"),
        pytest.param((node_in(WORKER),), FOREIGN, id="other clusters' packets into a node"),
        pytest.param((gateway_in(DEV_GATEWAY), gateway_out(DEV_GATEWAY)), ICMP, id="pings at a gateway"),
        pytest.param((gateway_in(PROD_GATEWAY), gateway_out(PROD_GATEWAY)), TCP, id="TCP at a gateway"),
    ],
)
def test_the_part_and_its_class_are_named(
    parts: tuple[Component, ...], traffic: tuple[TrafficCondition, ...]
) -> None:
    (finding,) = play(*(Lose(part, traffic=traffic) for part in parts))
    assert finding.cause is Cause.SELECTIVE_DROP
    assert set(finding.components) == set(parts)
    assert finding.traffic == traffic
    assert finding.confidence > 0.6
    assert finding.loss is None, "all of the class is lost: that is not a rate"


def test_allowed_addresses_that_lack_the_pods_are_looked_for_even_if_only_one_family_is_hit() -> None:
    traffic = (TrafficCondition("family", "IPv4"), TrafficCondition("source plane", "pod"))
    (finding,) = play(Lose(THERE, traffic=traffic), Lose(BACK, traffic=traffic))
    assert set(finding.traffic) == set(traffic)
    assert "allowed addresses" in str(finding.next_step)


def test_a_node_that_cuts_off_its_pods_where_one_overlay_leads_to_it_is_no_dropped_way_back() -> None:
    """A pod that gets no request sends no answer, so all that is seen to be lost are requests."""
    to_pods, from_pods = only("target plane", "pod"), only("source plane", "pod")
    findings = play(Lose(node_in(WORKER), traffic=to_pods), Lose(node_out(WORKER), traffic=from_pods))
    assert {finding.cause for finding in findings} == {Cause.SELECTIVE_DROP}
    named = {part for one in findings for part in (*one.components, *one.indistinguishable)}
    assert {node_in(WORKER), node_out(WORKER)} <= named
    assert not any(condition.attribute == "role" for one in findings for condition in one.traffic)


def test_a_way_back_that_is_dropped_is_named_by_its_answers() -> None:
    (finding,) = play(Lose(THERE, traffic=only("role", "answer")))
    assert (finding.cause, finding.components) == (Cause.RETURN_PATH_DROPPED, (THERE,))
    assert finding.traffic == only("role", "answer")


def test_a_share_of_the_flows_is_no_rate_of_loss() -> None:
    (finding,) = play(Lose(gateway_out(PROD_GATEWAY), share=0.5, is_hash=True), intervals=20)
    assert finding.cause is Cause.MEMBER_DOWN
    assert finding.components == (gateway_out(PROD_GATEWAY),)


def test_a_part_that_loses_everything_has_no_class() -> None:
    (finding,) = play(Lose(THERE), Lose(BACK))
    assert (finding.cause, finding.traffic) == (Cause.TUNNEL_DOWN, ())


def test_a_part_that_loses_each_packet_alike_has_a_rate() -> None:
    (finding,) = play(Lose(THERE, 0.2), Lose(BACK, 0.2), intervals=20)
    assert (finding.cause, finding.traffic) == (Cause.TUNNEL_LOSSY, ())


def test_the_sentence_says_what_is_lost_and_what_passes() -> None:
    (finding,) = play(Lose(node_in(WORKER), traffic=IPV6))
    assert str(finding.summary) == (
        f"On node-in({WORKER}), all IPv6 packets are lost, while everything else passes."
    )
    said = [str(one.text) for one in finding.evidence_for]
    assert any("IPv6 packets across it: " in one for one in said)
    assert any("the rest across it: " in one for one in said)


def test_connections_that_a_gateway_forwards_one_way_are_a_class_of_three_conditions() -> None:
    """A filter on forwarded packets spares what the gateway itself sends."""
    traffic = (*only("role", "request"), *TCP, *only("source role", "forwarded"))
    (finding,) = play(Lose(THERE, traffic=traffic))
    assert finding.cause is Cause.SELECTIVE_DROP
    assert {THERE, BACK} >= set(finding.components)
    assert set(traffic) <= set(finding.traffic)


def test_half_of_the_flows_that_a_gateway_forwards_are_a_dead_member_and_no_rate() -> None:
    lost = Lose(THERE, 0.5, traffic=only("source role", "forwarded"), is_hash=True)
    (finding,) = play(lost, intervals=25)
    assert (finding.cause, finding.components) == (Cause.MEMBER_DOWN, (THERE,))


@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_ipv6_packets_of_a_node_are_no_dead_overlay(seed: int) -> None:
    sender = NodeId.parse(f"{PROD}/w2")
    fault = SimulatedFault(
        "half", GroundTruth(Cause.PART_LOSSY, ()), (Lose(node_out(sender), 0.5, traffic=IPV6),)
    )
    outcome = play_faults([at(fault, BREAK_S, end_s=40)], seed=seed, intervals=40)
    causes = {finding.cause for _, finding in outcome.false.values()}
    assert Cause.PART_LOSSY in causes
    assert causes <= {Cause.PART_LOSSY, Cause.UNEXPLAINED}


@pytest.mark.parametrize("seed", range(3))
def test_a_port_that_loses_some_packets_is_not_called_dropped(seed: int) -> None:
    port = firewall_rule(WORKER, port="udp/9771")
    fault = SimulatedFault("port", GroundTruth(Cause.UNKNOWN, ()), (Lose(port, 0.2),))
    outcome = play_faults([at(fault, BREAK_S, end_s=40)], seed=seed, intervals=40)
    findings = [finding for _, finding in outcome.false.values() if finding.cause is not Cause.UNEXPLAINED]
    assert {finding.cause for finding in findings} == {Cause.PART_LOSSY}
    assert all(part.node == WORKER for finding in findings for part in finding.components)
