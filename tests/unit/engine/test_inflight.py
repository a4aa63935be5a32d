"""Probes in, windows out: every probe ends in exactly one outcome, in the interval it was sent in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.inflight import (
    MAX_REFUSED,
    InFlightTable,
    IntervalProbes,
    PendingProbe,
)
from netprobe.engine.stall_tracker import not_measured
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured, OutcomeKind, Reached, Refused, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.window import Window
from netprobe.probes.observation import Observation
from tests.unit.probes.questions import make_check

CHECK = make_check(Probe("udp", port=9771, timeout_ns=500))
SECOND = 1_000_000_000
FATES = st.lists(st.sampled_from(["answered", "lost out", "lost back", "refused", "kept"]), max_size=30)


def begin(number: int = 1) -> IntervalProbes:
    return IntervalProbes(start_ns=number * SECOND, length_ns=SECOND, began_ns=5)


def trust(probe: PendingProbe) -> None:
    del probe


def close(in_flight: InFlightTable, interval: IntervalProbes) -> Window:
    (window,) = in_flight.close(interval, doubt=trust)
    return window


def answer(counter: int) -> Observation:
    return Observation(
        Reached(7), answered_by="dev/w1/pod", observed_source="10.0.0.1", received_count=counter
    )


def play(in_flight: InFlightTable, interval: IntervalProbes, fates: list[str], counter: int = 0) -> int:
    """Send one probe per fate; return the responder's counter."""
    for fate in fates:
        probe = in_flight.ask(CHECK, interval, now_ns=5)
        counter += fate in {"answered", "lost back"}
        if fate == "answered":
            in_flight.record_response(probe, answer(counter))
        elif fate == "refused":
            in_flight.record_response(probe, Observation(Refused(3)))
        elif fate == "kept":
            in_flight.cancel(probe, Observation(NotMeasured(Prose("too large for ourselves"))))
    return counter


@given(FATES)
def test_outcomes_add_up_to_what_was_sent(fates: list[str]) -> None:
    in_flight, interval = InFlightTable(), begin()
    play(in_flight, interval, ["answered", *fates, "answered"])
    window = close(in_flight, interval)
    assert window.sent == len(fates) + 2 == sum(count for _, count in window.outcomes)
    assert window.answered == fates.count("answered") + 2 == window.rtt.total
    assert window.lost_out == fates.count("lost out")
    assert window.lost_back == fates.count("lost back")
    assert window.count(OutcomeKind.NOT_MEASURED) == fates.count("kept")
    assert (window.observed_source, window.answered_by) == ("10.0.0.1", "dev/w1/pod")


@given(first=FATES, second=FATES)
def test_the_next_interval_tells_where_the_last_losses_went(first: list[str], second: list[str]) -> None:
    in_flight, one, two = InFlightTable(), begin(1), begin(2)
    counter = play(in_flight, one, ["answered", *first])
    play(in_flight, two, ["answered", *second], counter)
    window = close(in_flight, one)
    assert (window.lost_out, window.lost_back) == (first.count("lost out"), first.count("lost back"))
    assert close(in_flight, two).sent == len(second) + 1


def test_silence_is_judged_when_the_window_closes() -> None:
    in_flight, interval = InFlightTable(), begin()
    probe = in_flight.ask(CHECK, interval, now_ns=5)
    in_flight.record_response(probe, Observation(TimedOut(500), detail=Prose("connected, then silence")))
    assert not interval.is_settled
    window = close(in_flight, interval)
    assert window.outcomes == ((OutcomeKind.TIMED_OUT, 1),)
    assert str(window.detail) == "connected, then silence"


def test_a_doubted_loss_is_not_measured() -> None:
    in_flight, interval = InFlightTable(), begin()
    play(in_flight, interval, ["answered", "lost out", "answered"])
    (window,) = in_flight.close(interval, doubt=lambda probe: not_measured(900_000_000))
    assert window.count(OutcomeKind.NOT_MEASURED) == 1
    assert window.lost_out == 0
    assert window.measured == 2
    assert str(window.detail) == "not measured: the agent stood still for 900 ms"


def test_an_answer_counts_once_and_not_after_the_window() -> None:
    in_flight, interval = InFlightTable(), begin()
    probe = in_flight.ask(CHECK, interval, now_ns=5)
    in_flight.record_response(probe, answer(1))
    in_flight.record_response(probe, answer(1))
    late = in_flight.ask(CHECK, interval, now_ns=5)
    window = close(in_flight, interval)
    in_flight.record_response(late, answer(2))
    assert (window.sent, window.answered) == (2, 1)
    assert in_flight.find(CHECK.id, late.sequence) is None


def test_a_probe_that_never_left_gives_its_number_back() -> None:
    in_flight, interval = InFlightTable(), begin()
    kept = in_flight.ask(CHECK, interval, now_ns=5)
    in_flight.cancel(kept, Observation(TimedOut(500), lost_out=True))
    assert in_flight.ask(CHECK, interval, now_ns=5).sequence == kept.sequence
    assert close(in_flight, interval).lost_out == 1


def test_what_should_have_gone_out_is_counted_as_not_measured() -> None:
    in_flight, interval = InFlightTable(), begin()
    in_flight.record_skipped(CHECK, interval, NotMeasured(Prose("over budget")))
    window = close(in_flight, interval)
    assert (window.sent, window.measured) == (1, 0)


@given(FATES)
def test_the_ledger_knows_how_many_probes_wait(fates: list[str]) -> None:
    in_flight, interval = InFlightTable(), begin()
    play(in_flight, interval, fates)
    assert in_flight.waiting == fates.count("lost out") + fates.count("lost back")
    in_flight.close(interval, doubt=trust)
    assert in_flight.waiting == 0


def test_forgotten_sessions_begin_anew() -> None:
    in_flight, interval = InFlightTable(), begin()
    play(in_flight, interval, ["answered"])
    close(in_flight, interval)
    in_flight.forget(set())
    assert in_flight.ask(CHECK, begin(2), now_ns=5).sequence == 1


def test_a_door_that_stays_closed_is_not_remembered_for_ever() -> None:
    """Refusals are kept only as long as they can tell apart losses around them."""
    in_flight, counter = InFlightTable(), 1
    play(in_flight, (interval := begin(1)), ["answered"])
    close(in_flight, interval)
    for number in range(2, 6):
        play(in_flight, (interval := begin(number)), ["refused"] * (MAX_REFUSED // 2), counter)
        assert close(in_flight, interval).count(OutcomeKind.REFUSED) == MAX_REFUSED // 2
    play(in_flight, (interval := begin(9)), ["answered", "lost out", "answered"], counter)
    window = close(in_flight, interval)
    assert (window.answered, window.lost_out, window.lost_back) == (2, 1, 0)
    (session,) = in_flight._sessions.values()
    assert len(session.refused) <= MAX_REFUSED
    assert len(session.anchors) == 1


def test_an_answer_that_came_once_more_counts_in_its_interval_and_a_late_one_does_not() -> None:
    in_flight, interval = InFlightTable(), begin()
    play(in_flight, interval, ["answered", "lost back"])
    in_flight.record_repeat(CHECK.id, 1, source="10.0.0.2")
    in_flight.record_repeat(CHECK.id, 1, source="10.0.0.2")
    assert close(in_flight, interval).repeated == 2
    later = begin(2)
    play(in_flight, later, ["answered"])
    in_flight.record_repeat(CHECK.id, 2, source="10.0.0.2")  # after its time-out
    assert close(in_flight, later).repeated == 0
