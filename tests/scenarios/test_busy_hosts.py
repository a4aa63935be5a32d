"""Hosts under load: what lag fakes is never named, and what it does not fake is named in time."""

from __future__ import annotations

import pytest

from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import NodeId
from netprobe.simulate.effects import Busy, SimulatedFault
from tests.scenarios.player import at, play, strike
from tests.scenarios.test_single_faults import IN_TIME_S

_MS = 1_000_000
PROD = "prod-us-west-1"


def busy(*nodes: str, lag_ms: int, waking_ms: int, is_lost: bool = False) -> SimulatedFault:
    """A load is not a fault: its ground truth is empty."""
    effects = tuple(
        Busy(NodeId.parse(node), lag_ms * _MS, waking_ms * _MS, is_lost=is_lost) for node in nodes
    )
    return SimulatedFault(f"load {nodes}", GroundTruth(Cause.UNKNOWN, ()), effects)


@pytest.mark.parametrize("lag_ms", [60, 200])
def test_a_stale_proxy_on_a_busy_machine_is_named_in_time(lag_ms: int) -> None:
    """Each agent was late by a tenth of a time-out or more at times, and not often."""
    load = at(busy(f"{PROD}/gw", f"{PROD}/w1", f"{PROD}/w2", lag_ms=lag_ms, waking_ms=20), 5, end_s=30)
    stale = at(strike("service-proxy-stale", node=f"{PROD}/w1"), 8.4, end_s=16.4)
    outcome = play([load, stale], seed=3, intervals=26)
    assert outcome.false == {}
    assert outcome.named_after_s[stale.name] <= IN_TIME_S
    assert outcome.left_open == ()


@pytest.mark.parametrize("seed", range(3))
def test_two_overloaded_nodes_beside_a_dead_dns_server_are_no_stale_proxies(seed: int) -> None:
    """So it was seen on a machine at load 20 to 40: their conversations failed before those of others did."""
    overloaded = busy(f"{PROD}/gw", f"{PROD}/w1", f"{PROD}/w2", lag_ms=120, waking_ms=100)
    starved = busy(f"{PROD}/w1", f"{PROD}/w2", lag_ms=120, waking_ms=100, is_lost=True)
    silent = at(strike("dns-down", cluster=PROD), 8.4, end_s=18.4)
    outcome = play(
        [at(overloaded, 5, end_s=24), at(starved, 8.2, end_s=13.2), silent], seed=seed, intervals=28
    )
    assert outcome.false == {}
    assert silent.name in outcome.named_after_s
    assert outcome.left_open == ()
