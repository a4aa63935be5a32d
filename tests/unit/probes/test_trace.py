"""The tracer against simulated routers: ways are told apart, silence is a node, limits are no losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.probes import trace
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke
from netprobe.probes.hops import Ended, Expired
from netprobe.probes.observation import Observation
from netprobe.probes.trace import SendPacket

MS = 1_000_000
PROBE = Probe("trace", timeout_ns=3_600_000 * MS)
Network = Callable[[int, int], str | Outcome | None]
"""Flow and TTL to who says that it expired, how it ended, or silence."""


def run(network: Network, *, probe: Probe = PROBE) -> tuple[Observation, list[SendPacket]]:
    state, commands = trace.step(trace.begin(probe), ProbeStarted(5))
    now = 5
    sent: list[SendPacket] = []
    while True:
        wake_ns = now
        sends = []
        for command in commands:
            match command:
                case Finish(seen):
                    return seen, sent
                case SendPacket():
                    sends.append(command)
                case WakeAt(at_ns):
                    wake_ns = at_ns
        sent += sends
        assert len(sent) < 5_000, "a trace ends"
        now += MS
        gathered: list[trace.Command] = []
        for send in sends:
            met = network(send.flow, send.ttl)
            if met is None:
                continue
            event = (
                Expired(send.flow, send.ttl, met, now)
                if isinstance(met, str)
                else Ended(send.flow, send.ttl, met, now)
            )
            state, more = trace.step(state, event)
            gathered += more
        if not gathered:
            now = max(now, wake_ns)
            state, more = trace.step(state, Woke(now))
            gathered += more
        commands = tuple(gathered)


ANSWER = Reached(1)


def line(*routers: str | None, end: Outcome | None = ANSWER) -> Network:
    return lambda flow, ttl: routers[ttl - 1] if ttl <= len(routers) else end


def test_one_way_is_told_hop_by_hop_with_six_flows_each() -> None:
    seen, sent = run(line("r1", "r2"))
    assert seen == Observation(
        Reached(MS),
        facts=(("hop 1", "r1, 1.00 ms"), ("hop 2", "r2, 1.00 ms"), ("hop 3", "target answers, 1.00 ms")),
    )
    assert len(sent) == 18


@given(width=st.integers(2, 5))
def test_equal_ways_are_all_found_and_the_stopping_rule_is_kept(width: int) -> None:
    def network(flow: int, ttl: int) -> str | Outcome:
        return ("r1", f"way{flow % width}", "r3")[ttl - 1] if ttl <= 3 else Reached(1)

    seen, sent = run(network)
    facts = dict(seen.facts)
    assert facts["ways"] == f"{width} ways for different flows"
    assert facts["hop 2"].startswith(", ".join(f"way{way}" for way in range(width)))
    flows_at_2 = {send.flow for send in sent if send.ttl == 2}
    assert len(flows_at_2) == trace.ENOUGH_FLOWS[width - 1]


def test_a_silent_hop_is_its_own_node_and_makes_no_way_of_its_own() -> None:
    seen, _ = run(line("r1", None, "r3"))
    assert dict(seen.facts)["hop 2"] == "* (says nothing)"
    assert "ways" not in dict(seen.facts)
    assert isinstance(seen.outcome, Reached)


def test_a_router_that_limits_its_icmp_is_not_called_lossy() -> None:
    def network(flow: int, ttl: int) -> str | Outcome | None:
        if ttl == 2:
            return "r2" if flow < 2 else None
        return "r1" if ttl == 1 else Reached(1)

    seen, _ = run(network)
    assert isinstance(seen.outcome, Reached)
    assert "told 2 of 6 flows: it limits its ICMP, packets pass" in dict(seen.facts)["hop 2"]
    assert "ways" not in dict(seen.facts)


def test_silence_behind_a_hop_names_that_hop() -> None:
    seen, _ = run(line("r1", "r2", end=None))
    assert (seen.outcome, seen.detail) == (TimedOut(500 * MS), "silence behind hop 2 (r2)")
    assert seen.facts[-1] == ("then", "silence")


def test_a_rejection_on_the_way_and_a_closed_port_at_the_end_differ() -> None:
    rejected = Rejected("r2", 3, 13)
    assert run(line("r1", end=rejected))[0].outcome == rejected
    closed, _ = run(line("r1", end=Refused(1)))
    assert isinstance(closed.outcome, Reached)
    assert closed.facts[-1][1].startswith("target refuses the port: nobody listens")


def test_a_trace_ends_at_its_last_ttl_and_when_its_time_is_up() -> None:
    forever: Network = lambda flow, ttl: f"r{ttl}"  # noqa: E731
    seen, sent = run(forever, probe=Probe("trace", timeout_ns=PROBE.timeout_ns, options=(("hops", "7"),)))
    assert isinstance(seen.outcome, TimedOut)
    assert max(send.ttl for send in sent) == 7
    late, _ = run(forever, probe=Probe("trace", timeout_ns=5 * MS))
    assert late.outcome == NotMeasured("the time was up before the target answered")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=20))
def test_foreign_and_late_answers_change_nothing(noise: list[tuple[int, int]]) -> None:
    state, _ = trace.step(trace.begin(PROBE), ProbeStarted(5))
    foreign = [(flow, ttl) for flow, ttl in noise if not (ttl == 1 and flow in state.waiting)]
    for flow, ttl in foreign:
        assert trace.step(state, Expired(flow, ttl, "r66", 6)) == (state, ())
    with pytest.raises(MisuseError):
        trace.step(state, ProbeStarted(7))


def test_the_first_hop_whose_quote_was_rewritten_is_where_the_translator_is() -> None:
    """A tuple stands for who spoke and what was rewritten before him."""
    state, commands = trace.step(trace.begin(PROBE), ProbeStarted(5))
    hops = (("r1", ()), ("r2", ("checksum",)), ("r3", ("checksum", "source 192.0.2.9")))
    now = 5
    while not any(isinstance(command, Finish) for command in commands):
        gathered: list[trace.Command] = []
        for send in [command for command in commands if isinstance(command, SendPacket)]:
            now += MS
            who, what = hops[send.ttl - 1] if send.ttl <= len(hops) else ("", ("checksum",))
            event = (
                Expired(send.flow, send.ttl, who, now, what)
                if who
                else Ended(send.flow, send.ttl, Reached(1), now, rewritten=what)
            )
            state, more = trace.step(state, event)
            gathered += more
        commands = tuple(gathered)
    (seen,) = (command.seen for command in commands if isinstance(command, Finish))
    facts = dict(seen.facts)
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
