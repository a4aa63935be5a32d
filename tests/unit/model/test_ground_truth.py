"""A label says how far an answer may differ: neighbours that look alike, another name, a class of traffic."""

from __future__ import annotations

import pytest

from netprobe.model.component import Component, gateway_out, node_in, tunnel, underlay
from netprobe.model.finding import Cause, Finding
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.prose import Prose
from netprobe.model.traffic import TrafficCondition

PROD, DEV = ClusterName("prod"), ClusterName("dev")
THERE, BACK = tunnel(PROD, DEV), tunnel(DEV, PROD)
GATEWAY = gateway_out(NodeId.parse("prod/gw"))
ELSEWHERE = node_in(NodeId.parse("dev/w1"))
IPV6 = TrafficCondition("family", "IPv6")
LABEL = GroundTruth(Cause.SELECTIVE_DROP, (THERE,), (GATEWAY,), (BACK,), (IPV6,))


def finding(
    *components: Component,
    cause: Cause = Cause.SELECTIVE_DROP,
    traffic: tuple[TrafficCondition, ...] = (IPV6,),
    alike: tuple[Component, ...] = (),
) -> Finding:
    return Finding("id", components, cause, 0.9, Prose(""), indistinguishable=alike, traffic=traffic)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        pytest.param(finding(THERE), True, id="the part itself"),
        pytest.param(finding(GATEWAY), True, id="its neighbour"),
        pytest.param(finding(THERE, BACK), True, id="with the way back"),
        pytest.param(finding(BACK), False, id="the way back alone"),
        pytest.param(finding(THERE, ELSEWHERE), False, id="with a part that is whole"),
        pytest.param(finding(ELSEWHERE, alike=(ELSEWHERE, THERE)), True, id="not told apart from it"),
        pytest.param(finding(ELSEWHERE, alike=(ELSEWHERE, GATEWAY)), False, id="not told apart from others"),
        pytest.param(finding(THERE, traffic=()), False, id="all traffic"),
        pytest.param(
            finding(THERE, traffic=(TrafficCondition("family", "IPv4"),)), False, id="other traffic"
        ),
        pytest.param(finding(THERE, cause=Cause.TUNNEL_LOSSY), False, id="another cause"),
    ],
)
def test_an_answer_is_right_as_far_as_evidence_goes(said: Finding, right: bool) -> None:
    assert LABEL.is_named_by(said) is right


def test_that_no_cause_is_known_is_true_where_the_part_is_broken_and_names_nothing() -> None:
    here, there = (finding(part, cause=Cause.UNEXPLAINED, traffic=()) for part in (GATEWAY, ELSEWHERE))
    assert (LABEL.is_named_by(here), LABEL.is_true_of(here)) == (False, True)
    assert not LABEL.is_true_of(there)


def test_without_neighbours_the_parts_must_be_exactly_those() -> None:
    label = GroundTruth(Cause.TUNNEL_DOWN, (THERE, BACK))
    assert label.is_named_by(finding(BACK, THERE, cause=Cause.TUNNEL_DOWN))
    assert not label.is_named_by(finding(THERE, cause=Cause.TUNNEL_DOWN, alike=(THERE, BACK)))


def test_another_name_of_the_same_thing_is_right_and_a_consequence_is_only_true() -> None:
    other = GroundTruth(Cause.POLICY_DROP, (ELSEWHERE,))
    outer = GroundTruth(Cause.UNKNOWN, (underlay(PROD, DEV),))
    label = GroundTruth(Cause.SELECTIVE_DROP, (THERE,), others=(other,), consequences=(outer,))
    named = finding(ELSEWHERE, cause=Cause.POLICY_DROP)
    beside = finding(underlay(PROD, DEV), cause=Cause.UNKNOWN)
    assert (label.is_named_by(named), label.is_true_of(named)) == (True, True)
    assert (label.is_named_by(beside), label.is_true_of(beside)) == (False, True)
