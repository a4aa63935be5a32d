"""The table of detectors: one interval explained twice shares its work and answers the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from netprobe.analysis.diagnosis.context import Claimed, Detection
from netprobe.analysis.diagnosis.pipeline import DETECTORS, DiagnosisPipeline
from netprobe.analysis.intervals.assembler import IntervalAssembler
from netprobe.analysis.intervals.observation import IntervalObservation, observe_interval
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.finding import Cause
from netprobe.model.window import Report
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.world import World
from tests.scenarios.player import T0, at, default_fleet, strike

PROD, STAGING, DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"
PAIRS = {
    "link and service proxy": (
        strike("tunnel-down", source=PROD, target=STAGING),
        strike("service-proxy-stale", node=f"{DEV}/gw"),
    ),
    "node and loss": (
        strike("node-down", node=f"{STAGING}/w1"),
        strike("tunnel-lossy", source=PROD, target=DEV),
    ),
    "large packets and agent": (
        strike("mtu-black-hole", source=PROD, target=STAGING),
        strike("agent-killed", agent=f"{PROD}/w2/pod"),
    ),
}


@cache
def index() -> PlanIndex:
    return PlanIndex(*default_fleet())


def observe(*faults: SimulatedFault) -> Iterator[IntervalObservation]:
    world = World(index(), [at(fault, 2, end_s=99) for fault in faults], seed=3, start_ns=T0)
    assembler = IntervalAssembler(index())
    for delivery in world.play(start_ns=T0, intervals=8):
        assert isinstance(delivery.report, Report)
        assembler.file(delivery.report, now_ns=delivery.at_ns)
        while (interval := assembler.close_next(now_ns=delivery.at_ns, absent=frozenset())) is not None:
            yield observe_interval(interval, index(), known=index().agent_set)


@pytest.mark.slow
@pytest.mark.parametrize("faults", PAIRS.values(), ids=PAIRS.keys())
def test_two_views_of_one_interval_are_those_of_two_separate_runs(
    faults: tuple[SimulatedFault, ...],
) -> None:
    shared, separate = DiagnosisPipeline(index()), DiagnosisPipeline(index())
    before: list[IntervalObservation] = []
    found = set()
    for observation in observe(*faults):
        context = shared.begin(observation, before)
        owned = frozenset(sorted(observation.troubled)[::2])
        for ignored in (owned, frozenset[int]()):
            told = shared.explain(context, ignored=ignored)
            assert told == separate.explain(separate.begin(observation, before), ignored=ignored)
            found |= {each.cause for each in told.hypotheses}
        before.append(observation)
    assert found >= {fault.label.cause for fault in faults}


@pytest.mark.parametrize("faults", PAIRS.values(), ids=PAIRS.keys())
def test_a_detector_that_needs_no_claims_finds_the_same_whatever_is_claimed(
    faults: tuple[SimulatedFault, ...],
) -> None:
    pipeline = DiagnosisPipeline(index())
    *before, last = observe(*faults)
    nothing = Claimed(frozenset(), frozenset(), frozenset())
    everything = Claimed(last.troubled, last.troubled, last.troubled)
    context = pipeline.begin(last, before)
    for detector in DETECTORS:
        alone, aside = detector.detect(context, nothing), detector.detect(context, everything)
        assert detector.needs_claims or alone == aside


def test_nothing_is_found_in_an_interval_in_which_every_probe_was_answered() -> None:
    pipeline = DiagnosisPipeline(index())
    calm = next(one for one in observe() if not one.troubled and not one.missing)
    context = pipeline.begin(calm, ())
    nothing = Claimed(frozenset(), frozenset(), frozenset())
    for detector in DETECTORS:
        assert detector.detect(context, nothing) == Detection()
    assert pipeline.explain(context, ignored=frozenset()).hypotheses == ()


def test_what_is_claimed_grows_by_what_is_found() -> None:
    pipeline = DiagnosisPipeline(index())
    *before, last = observe(*PAIRS["link and service proxy"])
    told = pipeline.explain(pipeline.begin(last, before), ignored=frozenset())
    assert Cause.TUNNEL_DOWN in {each.cause for each in told.hypotheses}
    claimed = Claimed(frozenset({1}), frozenset({2}), frozenset({3})).explaining(told.hypotheses)
    assert claimed.all == frozenset({1, 2, 3}).union(*(each.explained for each in told.hypotheses))
    assert not claimed.excusing(Detection(excused=frozenset({7}))).all - claimed.all - {7}
