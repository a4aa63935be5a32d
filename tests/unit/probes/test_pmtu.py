"""The MTU search against simulated paths: whatever each direction passes is found, to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, Reached, Rejected, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import pmtu
from netprobe.probes.conversation import Finish, ProbeStarted
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.pmtu import LocalTooBig, PacketTooBig, RequestAnswered, RequestRejected, SendRequest
from tests.facts import texts
from tests.unit.probes.transcript import MS, Machine, Transcript, play

PROBE = Probe("pmtu", port=9771, timeout_ns=3_600_000 * MS)


@dataclass
class Path:
    """A path and its responder, as the machine sees them."""

    out: int = 9_000
    back: int = 9_000
    tells: bool = False
    own: int = 9_000
    lose: frozenset[int] = frozenset()
    """Sequence numbers lost on the way out by chance."""
    tells_responder: bool = False
    told_mtu: int = 0
    received: int = 0
    sent: int = 0

    def answer(self, send: SendRequest, now_ns: int) -> Iterator[pmtu.Event]:
        """What comes back, after a millisecond."""
        self.sent += 1
        if send.size > self.own:
            yield LocalTooBig(send.sequence, now_ns)
        elif send.size > self.out:
            if self.tells:
                yield PacketTooBig(self.out, "10.0.0.1", now_ns + MS)
        elif send.sequence not in self.lose:
            self.received += 1
            if send.size > self.back:
                self.told_mtu = self.back if self.tells_responder else 0
            else:
                yield RequestAnswered(send.sequence, self.received, now_ns + MS, "dev/w1/pod", self.told_mtu)


def search(path: Path, *, version: int = 4, probe: Probe = PROBE) -> Observation:
    return play_search(path, version=version, probe=probe).seen


def play_search(path: Path, *, version: int = 4, probe: Probe = PROBE) -> Transcript[pmtu.PmtuSearch]:
    return play(Machine(pmtu.begin(probe, version=version), pmtu.step), path.answer, most_commands=600)


def test_a_sound_path_costs_two_packets() -> None:
    path = Path()
    seen = search(path)
    assert seen == Observation(
        Reached(MS), "dev/w1/pod",
        facts=make_facts((("forward", "ok: 1500 bytes pass, the largest tried"),
               ("back", "ok: 1500 bytes pass, as many as arrive there"))),
    )  # fmt: skip
    assert path.sent == 2


def test_a_search_word_for_word() -> None:
    played = play_search(Path(back=1_300, tells_responder=True))
    answered = "answered_by='dev/w1/pod'"
    played.expect(f"""
          0 ms <- ProbeStarted
          0 ms -> SendRequest(sequence=1, size=232)
          0 ms -> WakeAt 500 ms
          1 ms <- RequestAnswered(sequence=1, received_count=1, {answered})
          1 ms -> SendRequest(sequence=2, size=1500)
          1 ms -> WakeAt 101 ms
        101 ms <- Woke
        101 ms -> SendRequest(sequence=3, size=232)
        101 ms -> WakeAt 201 ms
        102 ms <- RequestAnswered(sequence=3, received_count=3, {answered}, reported_mtu=1300)
        102 ms -> SendRequest(sequence=4, size=1300)
        102 ms -> WakeAt 202 ms
        103 ms <- RequestAnswered(sequence=4, received_count=4, {answered}, reported_mtu=1300)
        103 ms -> Finish reached
    """)


@given(back=st.integers(260, 1_499), version=st.sampled_from([4, 6]))
def test_a_way_back_that_tells_the_responder_is_reduced_and_found_at_once(back: int, version: int) -> None:
    path = Path(back=back, tells_responder=True)
    seen = search(path, version=version)
    words = f"reduced: {back} bytes pass, as a router tells the far end; path MTU discovery works"
    assert isinstance(seen.outcome, Reached)
    assert texts(seen.facts)["back"] == words
    assert path.sent == 4, "control packet, the largest, a control packet that reports the MTU, and that MTU"


@given(out=st.integers(260, 1_600), back=st.integers(260, 1_600), version=st.sampled_from([4, 6]))
def test_each_direction_is_found_to_the_byte(out: int, back: int, version: int) -> None:
    facts = texts(search(Path(out, back), version=version).facts)
    arrives = min(out, 1_500)
    assert f" {arrives} bytes pass" in str(facts["forward"])
    assert f" {min(back, arrives)} bytes pass" in str(facts["back"])
    assert str(facts["forward"]).startswith("ok" if out >= 1_500 else "blackhole")
    assert str(facts["back"]).startswith("ok" if back >= arrives else "blackhole")


@given(st.integers(260, 1_499))
def test_a_router_that_tells_the_mtu_makes_it_reduced_not_a_blackhole(mtu: int) -> None:
    path = Path(out=mtu, tells=True)
    seen = search(path)
    assert isinstance(seen.outcome, Reached)
    assert str(texts(seen.facts)["forward"]).startswith(f"reduced: {mtu} bytes pass, as 10.0.0.1 says")
    assert path.sent == 3


@given(st.integers(260, 1_499))
def test_our_own_interface_is_ours_and_no_fault_of_the_network(own: int) -> None:
    seen = search(Path(own=own))
    assert isinstance(seen.outcome, Reached)
    assert (
        texts(seen.facts)["forward"] == f"ok: {own} bytes pass, all that this host's own interface lets out"
    )


def test_a_blackhole_below_our_own_limit_is_still_one() -> None:
    seen = search(Path(out=1_300, own=1_400))
    assert (seen.outcome, str(seen.detail)) == (TimedOut(100 * MS), "blackhole forward above 1300 bytes")


@given(lost=st.sets(st.integers(2, 40), max_size=2))
def test_two_packets_lost_by_chance_are_no_limit(lost: set[int]) -> None:
    facts = texts(search(Path(1_400, 1_300, lose=frozenset(lost))).facts)
    assert " 1400 bytes pass" in str(facts["forward"])
    assert " 1300 bytes pass" in str(facts["back"])


def test_silence_is_unreachable_and_a_rejection_keeps_its_sender() -> None:
    seen = search(Path(out=0))
    assert seen.outcome == TimedOut(1_500 * MS)
    assert texts(seen.facts) == {"forward": "unreachable", "back": "unreachable"}
    state, _ = pmtu.step(pmtu.begin(PROBE, version=4), ProbeStarted(5))
    rejected = Rejected("10.0.0.1", 3, 13)
    _, (finish,) = pmtu.step(state, RequestRejected(rejected, 6))
    assert isinstance(finish, Finish)
    assert finish.seen.outcome == rejected


def test_a_search_without_time_says_that_it_did_not_finish() -> None:
    seen = search(Path(out=1_300), probe=Probe("pmtu", port=9, timeout_ns=300 * MS))
    assert seen.outcome == NotMeasured(Prose("the time was up before the search was done"))


@pytest.mark.parametrize("mtu", [0, 40, 1_500, 9_000])
def test_an_mtu_that_cannot_be_true_changes_nothing(mtu: int) -> None:
    state, _ = pmtu.step(pmtu.begin(PROBE, version=4), ProbeStarted(5))
    state, _ = pmtu.step(state, RequestAnswered(1, 1, 6))
    assert pmtu.step(state, PacketTooBig(mtu, "10.0.0.66", 7)) == (state, ())
