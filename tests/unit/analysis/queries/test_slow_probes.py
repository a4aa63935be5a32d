"""Patient questions: each answer that sets a mark, and those beside it that must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from netprobe.analysis.queries.endpoints import find_end
from netprobe.analysis.queries.path_explanation import explain_pair
from netprobe.analysis.queries.slow_probes import (
    CONNECTS,
    SHORT_NS,
    ProbePath,
    ProbeResult,
    find_patient_questions,
    patient_probes,
    read_probe_symptoms,
)
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.finding import Cause
from netprobe.model.flow import FlowState
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import AppFailed, NotMeasured, Outcome, Reached, Refused, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import registry
from netprobe.render.component_state import read_component_states
from netprobe.wire.messages import OutcomeDetail
from tests import fleets

S = 1_000_000_000
NOTHING: Mapping[int, FlowState] = {}
NEAR, FAR = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
BESIDE = AgentId.parse("prod/w2/pod")
GATEWAY = NodeId.parse("prod/gw")
QUICK = Reached(S // 1000)
FORGOT = AppFailed(Prose("a quiet flow dies"))


def read(
    probe: Probe, *outcomes: Outcome, target: AgentId = FAR, flows: Mapping[int, FlowState] = NOTHING
) -> list[tuple[str, Cause, str]]:
    """The row, cause and part that one answer leads to."""
    aim = Target(TargetKind.AGENT, "10.2.0.2", str(target), target.node_id)
    check = Check(check_id(NEAR, aim, probe), NEAR, aim, probe, Layer.POD, len(outcomes))
    values = tuple(f"{gap_s} {state}" for gap_s, state in flows.items())
    told = ProbeResult(check, outcomes, OutcomeDetail(values=values))
    gateway = GATEWAY if target.cluster != NEAR.cluster else None
    found = read_probe_symptoms([told], ProbePath(NEAR, target, gateway))
    return [(each.row.id, each.cause, str(each.components[0])) for each in found]


IDLE, TCP = Probe("idle"), Probe("tcp", timeout_ns=SHORT_NS)


@pytest.mark.parametrize("outcome", [TimedOut(S), FORGOT])
@pytest.mark.parametrize("how", [FlowState.SILENT, FlowState.RESET])
def test_idle_timeout_a_flow_that_was_quiet_too_long(outcome: Outcome, how: FlowState) -> None:
    said = read(IDLE, outcome, flows={30: FlowState.ALIVE, 120: FlowState.ALIVE, 180: how})
    assert said == [("idle-timeout", Cause.IDLE_TIMEOUT, "tunnel(prod→dev)")]
    within = read(IDLE, outcome, target=BESIDE, flows={30: FlowState.ALIVE, 120: how})
    assert within == [("idle-timeout", Cause.IDLE_TIMEOUT, "overlay(prod/w1→prod/w2)")]


@pytest.mark.parametrize(
    ("outcome", "flows"),
    [
        (QUICK, {30: FlowState.ALIVE, 120: FlowState.ALIVE}),
        (TimedOut(S), {30: FlowState.SILENT}),
        (FORGOT, {30: FlowState.ALIVE, 120: FlowState.CLOSED}),
        (Refused(S), {}),
    ],
    ids=["all live", "even the shortest died", "the far end hung up", "no flow at all"],
)
def test_idle_timeout_needs_a_flow_that_lived_and_one_that_was_forgotten(
    outcome: Outcome, flows: dict[int, FlowState]
) -> None:
    assert read(IDLE, outcome, flows=flows) == []


def test_checksum_offload_a_connection_established_after_a_minute() -> None:
    assert read(TCP, Reached(63 * S), target=BESIDE) == [
        ("overlay-checksum-offload", Cause.OVERLAY_BLOCKED, "overlay(prod/w1→prod/w2)")
    ]


@pytest.mark.parametrize("outcome", [QUICK, Reached(31 * S), TimedOut(70 * S), Refused(63 * S)])
def test_checksum_offload_needs_exactly_that_minute(outcome: Outcome) -> None:
    assert read(TCP, outcome, target=BESIDE) == []


def test_checksum_offload_is_about_an_overlay() -> None:
    assert read(TCP, Reached(63 * S)) == []


@pytest.mark.parametrize("slow", [Reached(1_020_000_000), Reached(3_060_000_000)])
def test_port_collision_rare_connections_that_had_to_be_tried_again(slow: Reached) -> None:
    said = read(TCP, *[QUICK] * (CONNECTS - 2), slow, slow)
    assert said == [("snat-port-collision", Cause.SNAT, "gateway-out(prod/gw)")]


@pytest.mark.parametrize(
    "outcomes",
    [
        [QUICK] * CONNECTS,
        [QUICK] * (CONNECTS - 2) + [Reached(S + 7 * S // 10)] * 2,
        [QUICK] * 10 + [Reached(1_020_000_000)] * 10,
        [QUICK, Reached(1_020_000_000)],
        [NotMeasured(Prose("we stood still"))] * CONNECTS,
    ],
    ids=["all quick", "slow at another time", "half of them: that is loss", "too few", "not measured"],
)
def test_port_collision_needs_rare_ones_at_exactly_those_times(outcomes: list[Outcome]) -> None:
    assert read(TCP, *outcomes) == []


def test_port_collision_needs_a_gateway_on_the_way() -> None:
    assert read(TCP, *[QUICK] * 18, *[Reached(1_020_000_000)] * 2, target=BESIDE) == []


def test_what_is_asked_with_patience_can_be_asked() -> None:
    for probe, count in patient_probes(9771):
        registry.validate(probe)
        assert count


def test_one_living_agent_of_the_pair_asks_and_its_way_out_is_known() -> None:
    snapshot = fleets.healthy()
    ends = find_end(snapshot.inventory, "prod/w1"), find_end(snapshot.inventory, "dev/w1")
    found = find_patient_questions(
        snapshot, explain_pair(snapshot, *ends, feels=read_component_states(snapshot).of)
    )
    assert found is not None
    way, checks = found
    assert (str(way.source), str(way.target)) == ("prod-us-west-1/w1/pod", "dev-on-premise/w1/pod")
    assert str(way.gateway) == "prod-us-west-1/gw"
    assert [(check.probe.kind, check.count) for check in checks] == [
        ("tcp", CONNECTS),
        ("tcp", 1),
        ("idle", 1),
    ]
    assert {(check.source, check.target.name) for check in checks} == {(way.source, str(way.target))}


def test_where_no_agent_lives_nobody_is_asked() -> None:
    snapshot = replace(fleets.healthy(), agents=())
    ends = find_end(snapshot.inventory, "prod/w1"), find_end(snapshot.inventory, "dev/w1")
    why = explain_pair(snapshot, *ends, feels=read_component_states(snapshot).of)
    assert find_patient_questions(snapshot, why) is None
