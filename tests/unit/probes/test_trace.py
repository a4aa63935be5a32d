"""The tracer against simulated routers: ways are told apart, silence is a node, limits are no losses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import trace
from netprobe.probes.conversation import ProbeStarted
from netprobe.probes.hops import Ended, Expired, UnprovenWidth, find_unproven
from netprobe.probes.mda import FAILURE_PROBABILITY, MAX_FLOWS, count_flows_needed
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.trace import SendPacket
from tests.facts import texts
from tests.unit.probes import transcript
from tests.unit.probes.transcript import MS, Machine, play

PROBE = Probe("trace", timeout_ns=3_600_000 * MS)
Network = Callable[[int, int], str | Outcome | None]
"""Flow and TTL to who says that it expired, how it ended, or silence."""


def run(network: Network, *, probe: Probe = PROBE) -> tuple[Observation, list[SendPacket]]:
    played = play(Machine(trace.begin(probe), trace.step), answering(network), most_commands=20_000)
    return played.seen, played.commands(SendPacket)


def answering(network: Network) -> transcript.Network:
    """Every answer takes a millisecond."""

    def react(send: SendPacket, now_ns: int) -> Iterator[trace.Event]:
        met = network(send.flow, send.ttl)
        if isinstance(met, str):
            yield Expired(send.flow, send.ttl, met, now_ns + MS)
        elif met is not None:
            yield Ended(send.flow, send.ttl, met, now_ns + MS)

    return react


ANSWER = Reached(1)


def line(*routers: str | None, end: Outcome | None = ANSWER) -> Network:
    return lambda flow, ttl: routers[ttl - 1] if ttl <= len(routers) else end


def test_one_way_is_told_hop_by_hop_with_six_flows_each() -> None:
    seen, sent = run(line("r1", "r2"))
    assert seen == Observation(
        Reached(MS),
        facts=make_facts(
            (("hop 1", "r1, 1.00 ms"), ("hop 2", "r2, 1.00 ms"), ("hop 3", "target answers, 1.00 ms"))
        ),
    )
    assert len(sent) == 18


@pytest.mark.parametrize("width", range(2, 17))
def test_equal_ways_are_all_found_and_the_stopping_rule_is_kept(width: int) -> None:
    def network(flow: int, ttl: int) -> str | Outcome:
        return ("r1", f"way{flow % width:02}", "r3")[ttl - 1] if ttl <= 3 else Reached(1)

    seen, sent = run(network)
    facts = texts(seen.facts)
    assert facts["ways"] == f"{width} ways for different flows"
    assert facts["hop 2"].startswith(", ".join(f"way{way:02}" for way in range(width)))
    flows_at_2 = {send.flow for send in sent if send.ttl == 2}
    assert len(flows_at_2) == count_flows_needed(width)
    assert "unproven" not in facts


def compute_failure(width: int) -> float:
    """The exact probability that the stopping rule ends before all of *width* equal next hops were seen."""
    of_seen, flows, failure = {1: 1.0}, 1, 0.0
    while any(seen < width for seen in of_seen):
        stopped = [seen for seen in of_seen if seen < width and flows == count_flows_needed(seen)]
        failure += sum(of_seen.pop(seen) for seen in stopped)
        flows += 1
        following: dict[int, float] = defaultdict(float)
        for seen, probability in of_seen.items():
            following[seen] += probability * seen / width
            following[seen + 1] += probability * (width - seen) / width
        of_seen = {seen: probability for seen, probability in following.items() if probability}
    return failure


def test_the_stopping_rule_keeps_its_promise_for_every_width_that_fits_the_most_flows() -> None:
    widths = range(2, 21)
    assert max(map(count_flows_needed, widths)) <= MAX_FLOWS
    failures = [compute_failure(width) for width in widths]
    assert all(0.03 < failure <= FAILURE_PROBABILITY for failure in failures), failures


def test_beyond_the_most_flows_the_result_says_which_hop_is_unproven() -> None:
    def network(flow: int, ttl: int) -> str | Outcome:
        return ("r1", f"way{flow % 24:02}", "r3")[ttl - 1] if ttl <= 3 else Reached(1)

    played = play(Machine(trace.begin(PROBE), trace.step), answering(network), most_commands=20_000)
    assert find_unproven(played.state.hops) == (UnprovenWidth(2, 24, MAX_FLOWS, 153),)
    assert texts(played.seen.facts)["unproven"] == (
        "hop 2 may have more next hops than the 24 seen: 128 flows were sent, 153 would rule it out"
    )
    assert {send.flow for send in played.commands(SendPacket) if send.ttl == 2} == set(range(MAX_FLOWS))


def test_a_walk_of_two_hops_word_for_word() -> None:
    probe = Probe("trace", timeout_ns=PROBE.timeout_ns, options=(("hops", "2"), ("patience", "100")))
    network: Network = lambda flow, ttl: "r1" if ttl == 1 and flow != 5 else None  # noqa: E731
    played = play(Machine(trace.begin(probe), trace.step), answering(network))
    flows = range(6)
    answers = [f"1 ms <- Expired(flow={flow}, ttl=1, sender='r1')" for flow in flows[:-1]]
    played.expect("\n".join([
        "0 ms <- ProbeStarted",
        "0 ms -> WakeAt 100 ms",
        *(f"0 ms -> SendPacket(flow={flow}, ttl=1)" for flow in flows),
        *answers,
        "100 ms <- Woke",
        "100 ms -> WakeAt 200 ms",
        "100 ms -> SendPacket(flow=5, ttl=1)",
        "200 ms <- Woke",
        "200 ms -> WakeAt 300 ms",
        *(f"200 ms -> SendPacket(flow={flow}, ttl=2)" for flow in flows),
        "300 ms <- Woke",
        "300 ms -> WakeAt 400 ms",
        *(f"300 ms -> SendPacket(flow={flow}, ttl=2)" for flow in flows),
        "400 ms <- Woke",
        "400 ms -> Finish silence behind hop 1 (r1)",
    ]))  # fmt: skip


def test_a_silent_hop_is_its_own_node_and_makes_no_way_of_its_own() -> None:
    seen, _ = run(line("r1", None, "r3"))
    assert texts(seen.facts)["hop 2"] == "* (says nothing)"
    assert "ways" not in texts(seen.facts)
    assert isinstance(seen.outcome, Reached)


def test_a_router_that_limits_its_icmp_is_not_called_lossy() -> None:
    def network(flow: int, ttl: int) -> str | Outcome | None:
        if ttl == 2:
            return "r2" if flow < 2 else None
        return "r1" if ttl == 1 else Reached(1)

    seen, _ = run(network)
    assert isinstance(seen.outcome, Reached)
    assert "told 2 of 6 flows: it limits its ICMP, packets pass" in str(texts(seen.facts)["hop 2"])
    assert "ways" not in texts(seen.facts)


def test_silence_behind_a_hop_names_that_hop() -> None:
    seen, _ = run(line("r1", "r2", end=None))
    assert (seen.outcome, str(seen.detail)) == (TimedOut(500 * MS), "silence behind hop 2 (r2)")
    assert seen.facts[-1] == ("then", Prose("silence"))


def test_a_rejection_on_the_way_and_a_closed_port_at_the_end_differ() -> None:
    rejected = Rejected("r2", 3, 13)
    assert run(line("r1", end=rejected))[0].outcome == rejected
    closed, _ = run(line("r1", end=Refused(1)))
    assert isinstance(closed.outcome, Reached)
    assert str(closed.facts[-1][1]).startswith("target refuses the port: no process listens")


def test_a_trace_ends_at_its_last_ttl_and_when_its_time_is_up() -> None:
    forever: Network = lambda flow, ttl: f"r{ttl}"  # noqa: E731
    seen, sent = run(forever, probe=Probe("trace", timeout_ns=PROBE.timeout_ns, options=(("hops", "7"),)))
    assert isinstance(seen.outcome, TimedOut)
    assert max(send.ttl for send in sent) == 7
    late, _ = run(forever, probe=Probe("trace", timeout_ns=5 * MS))
    assert late.outcome == NotMeasured(Prose("the time was up before the target answered"))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=20))
def test_foreign_and_late_answers_change_nothing(noise: list[tuple[int, int]]) -> None:
    state, _ = trace.step(trace.begin(PROBE), ProbeStarted(5))
    foreign = [(flow, ttl) for flow, ttl in noise if not (ttl == 1 and flow in state.waiting)]
    for flow, ttl in foreign:
        assert trace.step(state, Expired(flow, ttl, "r66", 6)) == (state, ())
    with pytest.raises(MisuseError):
        trace.step(state, ProbeStarted(7))


def test_the_first_hop_whose_quote_was_rewritten_is_where_the_translator_is() -> None:
    routers = (("r1", ()), ("r2", ("checksum",)), ("r3", ("checksum", "source 192.0.2.9")))

    def react(send: SendPacket, now_ns: int) -> Iterator[trace.Event]:
        if send.ttl <= len(routers):
            router, rewritten = routers[send.ttl - 1]
            yield Expired(send.flow, send.ttl, router, now_ns + MS, rewritten)
        else:
            yield Ended(send.flow, send.ttl, Reached(1), now_ns + MS, rewritten=("checksum",))

    seen = play(Machine(trace.begin(PROBE), trace.step), react).seen
    facts = texts(seen.facts)
    assert "NAT" not in facts["hop 1"]
    assert facts["hop 2"].endswith("; behind NAT (checksum)")
    assert facts["hop 3"].endswith("; behind NAT (checksum, source 192.0.2.9)")
    assert facts["nat"] == "addresses are rewritten between hop 1 (r1) and hop 2 (r2), or by one of the two"


def test_an_icmp_trace_has_no_port_and_no_other_transport_is_known() -> None:
    trace.validate(Probe("trace", timeout_ns=1, options=(("transport", "icmp"),)))
    with pytest.raises(InputError, match="port 80: an ICMP trace has none"):
        trace.validate(Probe("trace", 80, timeout_ns=1, options=(("transport", "icmp"),)))
    with pytest.raises(InputError, match="'sctp' is none of udp, tcp, icmp"):
        trace.validate(Probe("trace", timeout_ns=1, options=(("transport", "sctp"),)))
