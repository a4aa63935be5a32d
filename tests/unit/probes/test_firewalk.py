"""The firewalk against simulated paths: who drops is named, and what cannot be known is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import MisuseError
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import firewalk, hops
from netprobe.probes.conversation import ProbeStarted
from netprobe.probes.firewalk import CONTROL, SUSPECT
from netprobe.probes.hops import Ended, Expired
from netprobe.probes.observation import Observation
from netprobe.probes.trace import SendPacket
from tests.facts import pairs, texts
from tests.unit.probes.transcript import MS, Machine, play

TIMEOUT_NS = 3_600_000 * MS
PASSES = ("control", "9771")
PROBE = Probe("firewalk", port=80, timeout_ns=TIMEOUT_NS, options=(PASSES,))
Network = Callable[[int, int, int], str | Outcome | None]
"""Flow, TTL and how many packets went out before, to who says that it expired, how it ended, or silence."""


def run(network: Network, *, probe: Probe = PROBE) -> tuple[Observation, list[SendPacket]]:
    """Every answer takes a millisecond."""
    sent: list[SendPacket] = []

    def react(send: SendPacket, now_ns: int) -> Iterator[firewalk.Event]:
        met = network(send.flow, send.ttl, len(sent))
        sent.append(send)
        if isinstance(met, str):
            yield Expired(send.flow, send.ttl, met, now_ns + MS)
        elif met is not None:
            yield Ended(send.flow, send.ttl, met, now_ns + MS)

    return play(Machine(firewalk.begin(probe), firewalk.step), react).seen, sent


def path(*routers: str | None, lost_from: int = 99, end: Outcome | None = Reached(1)) -> Network:  # noqa: B008
    """A line of routers; the suspect's packets are lost from TTL *lost_from* on."""

    def network(flow: int, ttl: int, before: int) -> str | Outcome | None:
        if flow == SUSPECT and ttl >= lost_from:
            return None
        return routers[ttl - 1] if ttl <= len(routers) else end

    return network


def test_a_port_that_arrives_is_no_news_and_needs_no_walk() -> None:
    seen, sent = run(path("r1", "r2"))
    assert isinstance(seen.outcome, Reached)
    assert pairs(seen.facts) == (
        ("port 80", "the target answers"),
        ("port 9771", "the control probe: the target answers"),
    )
    assert sent == [SendPacket(CONTROL, 64), SendPacket(SUSPECT, 64)]


def test_the_former_name_of_the_control_port_is_still_read() -> None:
    former = replace(PROBE, options=(("witness", "9771"),))
    firewalk.validate(former)
    assert firewalk.begin(former) == firewalk.begin(PROBE)


def test_a_closed_port_arrives_too() -> None:
    seen, _ = run(lambda flow, ttl, before: Refused(1) if flow == SUSPECT else Reached(1))
    assert isinstance(seen.outcome, Reached)
    assert texts(seen.facts)["port 80"] == "the target refuses it: no process listens, nothing drops it"


ENTERS = "by this host's own packet filter, or by that hop as it comes in"
FORWARDS = "by the first as it forwards, or by the second as it comes in"
ENDS = "by hop 2 (r2) as it forwards, or the target itself"


@pytest.mark.parametrize(
    ("lost_from", "words"),
    [
        (1, f"port 80 is dropped between this host and hop 1 (r1): {ENTERS}"),
        (2, f"port 80 is dropped between hop 1 (r1) and hop 2 (r2): {FORWARDS}"),
        (3, f"port 80 is dropped between hop 2 (r2) and the target: {ENDS}"),
    ],
)
def test_the_dropper_is_named_as_closely_as_a_ttl_can(lost_from: int, words: str) -> None:
    seen, _ = run(path("r1", "r2", lost_from=lost_from))
    assert (seen.outcome, str(seen.detail)) == (TimedOut(500 * MS), words)


def test_every_hop_is_told() -> None:
    seen, _ = run(path("r1", "r2", lost_from=2))
    assert pairs(seen.facts) == (
        ("port 9771", "the control probe: the target answers"),
        ("hop 1", "r1: port 80 comes this far"),
        ("hop 2", "r2: port 9771 comes this far, port 80 does not"),
        ("hop 3", "the target: port 9771 comes this far, port 80 does not"),
    )


def test_a_udp_service_that_says_nothing_looks_like_a_drop_and_that_is_said() -> None:
    probe = Probe("firewalk", port=80, timeout_ns=TIMEOUT_NS, options=(("transport", "udp"), PASSES))
    seen, _ = run(path("r1", lost_from=2), probe=probe)
    assert str(seen.detail).endswith("or the target itself (or a service there that says nothing)")


def test_a_silent_router_widens_the_range() -> None:
    seen, _ = run(path("r1", None, "r3", lost_from=2))
    assert str(seen.detail) == (
        "port 80 is dropped between hop 1 (r1) and hop 3 (r3); which of them cannot be known, "
        "with 1 hop between that cannot be believed"
    )


def test_a_router_that_limits_its_icmp_is_no_dropper() -> None:
    def network(flow: int, ttl: int, before: int) -> str | Outcome | None:
        if ttl > 3:
            return None if flow == SUSPECT else Reached(1)
        if ttl == 2:  # speaks once, to the control port: it is sent first
            spoken.append(flow)
            return "r2" if len(spoken) == 1 else None
        return f"r{ttl}"

    spoken: list[int] = []
    seen, _ = run(network)
    assert str(seen.detail).startswith("port 80 is dropped between hop 3 (r3) and the target")
    assert "cannot be known, it limits its ICMP (told 1 of 3 packets)" in str(texts(seen.facts)["hop 2"])


def test_where_the_control_probe_is_silent_too_nothing_can_be_known() -> None:
    seen, _ = run(path("r1", end=None))
    assert str(seen.detail) == (
        "cannot be known: behind hop 1 (r1) the control probe, port 9771, is not answered reliably either"
    )
    assert seen.facts[-1] == ("then", Prose("silence"))


def test_a_rejection_names_its_sender_at_once() -> None:
    rejected = Rejected("r2", 3, 13)
    seen, _ = run(lambda flow, ttl, before: rejected if flow == SUSPECT else Reached(1))
    assert seen.outcome == rejected
    assert texts(seen.facts)["port 80"] == "rejected by r2 (3/13)"


def test_our_own_packet_filter_is_named() -> None:
    seen, _ = run(lambda flow, ttl, before: TimedOut(1) if flow == SUSPECT else Reached(1))
    assert (str(seen.detail), seen.lost_out) == ("this host's own packet filter drops port 80", True)


def test_two_ways_are_told() -> None:
    def network(flow: int, ttl: int, before: int) -> str | Outcome | None:
        if ttl == 1:
            return ("x", "y")[flow]
        return None if flow == SUSPECT else Reached(1)

    assert texts(run(network)[0].facts)["hop 1"] == (
        "x: port 80 comes this far; port 9771 takes another way, over y"
    )


def test_a_walk_ends_at_its_last_ttl_and_when_its_time_is_up() -> None:
    forever: Network = lambda flow, ttl, before: f"r{ttl}"  # noqa: E731
    probe = Probe("firewalk", port=80, timeout_ns=TIMEOUT_NS, options=(("hops", "7"), PASSES))
    _, sent = run(forever, probe=probe)
    assert max(send.ttl for send in sent if send.ttl != firewalk.WHOLE_WAY) == 7
    late, _ = run(forever, probe=Probe("firewalk", port=80, timeout_ns=5 * MS, options=(PASSES,)))
    assert late.outcome == NotMeasured(Prose("the time was up before the walk ended"))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 70)), max_size=20))
def test_foreign_and_late_answers_change_nothing(noise: list[tuple[int, int]]) -> None:
    state, _ = firewalk.step(firewalk.begin(PROBE), ProbeStarted(5))
    for flow, ttl in noise:
        if ttl != firewalk.WHOLE_WAY or flow not in state.waiting:
            assert firewalk.step(state, hops.Expired(flow, ttl, "r66", 6)) == (state, ())
    with pytest.raises(MisuseError):
        firewalk.step(state, ProbeStarted(7))
