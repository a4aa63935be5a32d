"""Patient questions: each answer that sets a mark, and those beside it that must not."""

from __future__ import annotations

import pytest

from netprobe.analysis.marks import CONNECTS, SHORT_NS, Told, Way, patient_probes, read_marks
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.finding import Cause
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import AppFailed, NotMeasured, Outcome, Reached, Refused, TimedOut
from netprobe.probes import registry

S = 1_000_000_000
NEAR, FAR = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
BESIDE = AgentId.parse("prod/w2/pod")
GATEWAY = NodeId.parse("prod/gw")
QUICK = Reached(S // 1000)
FORGOT = AppFailed("a quiet flow dies")


def asked(
    probe: Probe, *outcomes: Outcome, target: AgentId = FAR, **facts: str
) -> list[tuple[str, Cause, str]]:
    """The row, cause and part that one answer leads to."""
    aim = Target(TargetKind.AGENT, "10.2.0.2", str(target), target.node_id)
    check = Check(check_id(NEAR, aim, probe), NEAR, aim, probe, Layer.POD, len(outcomes))
    told = Told(check, outcomes, tuple((gap.removeprefix("s"), how) for gap, how in facts.items()))
    gateway = GATEWAY if target.cluster != NEAR.cluster else None
    found = read_marks([told], Way(NEAR, target, gateway))
    return [(each.row.number, each.cause, str(each.components[0])) for each in found]


IDLE, TCP = Probe("idle"), Probe("tcp", timeout_ns=SHORT_NS)


@pytest.mark.parametrize("outcome", [TimedOut(S), FORGOT])
@pytest.mark.parametrize("how", ["dead: silence", "dead: reset"])
def test_row_22_a_flow_that_was_quiet_too_long(outcome: Outcome, how: str) -> None:
    said = asked(IDLE, outcome, s30="lives", s120="lives", s180=how)
    assert said == [("22", Cause.IDLE_TIMEOUT, "tunnel(prod→dev)")]
    within = asked(IDLE, outcome, target=BESIDE, s30="lives", s120=how)
    assert within == [("22", Cause.IDLE_TIMEOUT, "overlay(prod/w1→prod/w2)")]


@pytest.mark.parametrize(
    ("outcome", "facts"),
    [
        (QUICK, {"s30": "lives", "s120": "lives"}),
        (TimedOut(S), {"s30": "dead: silence"}),
        (FORGOT, {"s30": "lives", "s120": "dead: closed"}),
        (Refused(S), {}),
    ],
    ids=["all live", "even the shortest died", "the far end hung up", "no flow at all"],
)
def test_row_22_needs_a_flow_that_lived_and_one_that_was_forgotten(
    outcome: Outcome, facts: dict[str, str]
) -> None:
    assert asked(IDLE, outcome, **facts) == []


def test_row_7_a_connection_that_stands_after_a_minute() -> None:
    assert asked(TCP, Reached(63 * S), target=BESIDE) == [
        ("7", Cause.OVERLAY_BLOCKED, "overlay(prod/w1→prod/w2)")
    ]


@pytest.mark.parametrize("outcome", [QUICK, Reached(31 * S), TimedOut(70 * S), Refused(63 * S)])
def test_row_7_needs_exactly_that_minute(outcome: Outcome) -> None:
    assert asked(TCP, outcome, target=BESIDE) == []


def test_row_7_is_about_an_overlay() -> None:
    assert asked(TCP, Reached(63 * S)) == []


@pytest.mark.parametrize("slow", [Reached(1_020_000_000), Reached(3_060_000_000)])
def test_row_21_rare_connections_that_had_to_be_tried_again(slow: Reached) -> None:
    said = asked(TCP, *[QUICK] * (CONNECTS - 2), slow, slow)
    assert said == [("21", Cause.SNAT, "gateway-out(prod/gw)")]


@pytest.mark.parametrize(
    "outcomes",
    [
        [QUICK] * CONNECTS,
        [QUICK] * (CONNECTS - 2) + [Reached(S + S // 2)] * 2,
        [QUICK] * 10 + [Reached(1_020_000_000)] * 10,
        [QUICK, Reached(1_020_000_000)],
        [NotMeasured("we stood still")] * CONNECTS,
    ],
    ids=["all quick", "slow at another time", "half of them: that is loss", "too few", "not measured"],
)
def test_row_21_needs_rare_ones_at_exactly_those_times(outcomes: list[Outcome]) -> None:
    assert asked(TCP, *outcomes) == []


def test_row_21_needs_a_gateway_on_the_way() -> None:
    assert asked(TCP, *[QUICK] * 18, *[Reached(1_020_000_000)] * 2, target=BESIDE) == []


def test_what_is_asked_with_patience_can_be_asked() -> None:
    for probe, count in patient_probes(9771):
        registry.validate(probe)
        assert count
