"""Routing loops: the same routers in turn, told from limits, translators and equal ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import RemoteFormatError
from netprobe.model.outcome import Outcome, Reached, Rejected
from netprobe.probes.hops import Hop
from netprobe.probes.routing_loop import RoutingLoop, find_loop, read_loop, write_loop
from tests.facts import texts
from tests.unit.probes.test_trace import run

ADDRESSES = st.lists(st.sampled_from(["r1", "r2", "r3", "r4", "r5", "r6"]), unique=True)


def hops(*answers: str) -> tuple[Hop, ...]:
    """One flow; ``*`` where nothing was heard."""
    return tuple(
        Hop(ttl, ((0, sender),) if sender != "*" else (), 1, 1) for ttl, sender in enumerate(answers, start=1)
    )


@given(way=ADDRESSES, cycle=ADDRESSES.filter(lambda each: len(each) >= 2), rounds=st.integers(2, 4))
def test_any_cycle_is_found_with_the_hop_where_it_is_entered(
    way: list[str], cycle: list[str], rounds: int
) -> None:
    before = [hop for hop in way if hop not in cycle]
    found = find_loop(hops(*before, *cycle * rounds))
    assert found == RoutingLoop(tuple(cycle), len(before) + 1)


@given(ADDRESSES)
def test_a_way_that_meets_no_router_twice_has_no_loop(way: list[str]) -> None:
    assert find_loop(hops(*way)) is None


@pytest.mark.parametrize(
    "answers",
    [
        ("r1", "r2", "r1"),
        ("r1", "r1", "r1", "r1", "r1", "r1"),
        ("r1", "r1", "*", "r1", "r1", "*", "r1", "r1", "*"),
        ("r1", "*", "*", "r1", "*", "*"),
        ("*", "*", "*", "*", "*", "*"),
        ("r1", "r2", "*", "*", "*", "*"),
    ],
    ids=["too short", "one name for all", "one name with gaps", "a limit", "silence", "silence behind"],
)
def test_what_is_no_proof_is_no_loop(answers: tuple[str, ...]) -> None:
    assert find_loop(hops(*answers)) is None


def test_a_hop_that_limits_its_icmp_hides_no_loop() -> None:
    answers = hops("r1", "r2", "r3", "r2", "*", "r2", "r3", "*", "r3")
    assert find_loop(answers, rounds=3) == RoutingLoop(("r2", "r3"), 2)


def test_a_loop_may_hold_a_router_that_says_nothing() -> None:
    found = find_loop(hops("r1", *("r2", "*") * 3))
    assert found == RoutingLoop(("r2", ""), 2)
    assert str(found) == "routing loop between r2 and a hop that says nothing, from hop 2 on"


@given(ADDRESSES.filter(bool), st.integers(1, 60))
def test_a_loop_is_read_as_it_was_written(cycle: list[str], ttl: int) -> None:
    loop = RoutingLoop((*cycle, ""), ttl)
    assert read_loop(("other 1", write_loop(loop))) == loop
    assert read_loop(()) is None


def test_a_value_that_is_no_loop_is_refused() -> None:
    with pytest.raises(RemoteFormatError, match="is not a loop"):
        read_loop(("loop 3 r1",))


def circling(flow: int, ttl: int) -> str | Outcome:
    return "r1" if ttl == 1 else ("r2", "r3")[ttl % 2]


def test_a_trace_names_the_loop_and_ends_after_three_rounds() -> None:
    seen, sent = run(circling)
    assert seen.outcome == Rejected("r2", 11, 0)
    assert str(seen.words) == "routing loop between r2 and r3, from hop 2 on"
    assert read_loop(seen.values) == RoutingLoop(("r2", "r3"), 2)
    assert max(send.ttl for send in sent) == 7
    facts = texts(seen.facts)
    assert list(facts) == ["loop", "hop 1", "hop 2", "hop 3", "hop 4", "hop 5", "then"]
    assert facts["then"] == "the same hops in turn, up to hop 7"


def test_one_flow_in_a_loop_beside_others_that_arrive_is_told_with_what_arrived() -> None:
    def network(flow: int, ttl: int) -> str | Outcome:
        return circling(flow, ttl) if flow % 2 or ttl < 3 else Reached(1)

    seen, _ = run(network)
    assert isinstance(seen.outcome, Reached)
    assert read_loop(seen.values) == RoutingLoop(("r2", "r3"), 2)
