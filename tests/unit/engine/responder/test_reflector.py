"""The stateful reflector: counts each request once, answers no repeats, forgets the unused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.engine.responder.reflector import REPLAY_BITS, Arrival, Reflector
from netprobe.model.names import CheckId
from netprobe.model.window import ReceivedCount
from netprobe.wire.stamp import Request, StampAnswer, ntp_of, short_name

SECOND = 1_000_000_000
NOW_NS = 1_700_000_000 * SECOND
NONCE = 77
STARTED_S = NOW_NS // SECOND - 10


def ask(
    reflector: Reflector, sequence: int, *, check: int = 7, boot: int = 1, sent_ns: int = NOW_NS
) -> StampAnswer | None:
    arrival = Arrival(NOW_NS + 5, "10.0.0.1", 40_000, 9771, 63)
    request = Request(check, boot, sequence, ntp_of(sent_ns), sequence)
    return reflector.reflect(request, arrival, interval_ns=SECOND)


@given(st.lists(st.integers(1, 600), max_size=100))
def test_every_request_is_answered_exactly_once(sequences: list[int]) -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    answered: set[int] = set()
    for sequence in sequences:
        answer = ask(reflector, sequence)
        is_recent = sequence > max(answered, default=0) - REPLAY_BITS
        assert (answer is not None) == (sequence not in answered and is_recent)
        if answer is not None:
            answered.add(sequence)
            assert answer.received_count == len(answered)
    heard = reflector.heard(until_ns=NOW_NS + SECOND, everything_ns=NOW_NS + 9 * SECOND)
    assert sum(row.received for row in heard) == len(answered)


def test_an_answer_says_what_was_observed() -> None:
    answer = ask(Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S), 3)
    assert answer is not None
    assert (answer.observed_source, answer.observed_port, answer.observed_ttl) == ("10.0.0.1", 40_000, 63)
    assert (answer.sent_ntp, answer.received_ntp) == (ntp_of(NOW_NS), ntp_of(NOW_NS + 5))
    assert answer.answered_by == "dev/w1/pod"


def test_a_restarted_asker_begins_a_new_session() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    assert ask(reflector, 1, boot=1) is not None
    again = ask(reflector, 1, boot=2)
    assert again is not None
    assert again.received_count == 1


def test_what_was_heard_belongs_to_the_interval_in_which_it_was_sent() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    ask(reflector, 1, sent_ns=NOW_NS - 1)
    ask(reflector, 2, sent_ns=NOW_NS)
    assert reflector.heard(until_ns=NOW_NS, everything_ns=NOW_NS + 9 * SECOND) == (
        ReceivedCount(CheckId(7), NOW_NS - SECOND, 1),
    )
    assert reflector.heard(until_ns=NOW_NS + SECOND, everything_ns=NOW_NS + 9 * SECOND) == (
        ReceivedCount(CheckId(7), NOW_NS, 1),
    )
    assert reflector.heard(until_ns=NOW_NS + SECOND, everything_ns=NOW_NS + 9 * SECOND) == ()


def test_a_clock_that_is_hours_off_does_not_choose_the_interval() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    ask(reflector, 1, sent_ns=NOW_NS - 7_200 * SECOND)
    (heard,) = reflector.heard(until_ns=NOW_NS + SECOND, everything_ns=NOW_NS + 9 * SECOND)
    assert heard.start_ns == NOW_NS


def test_memory_is_bounded() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S, max_sessions=2)
    for sequence, check in enumerate((1, 2, 1, 3), start=1):
        ask(reflector, sequence, check=check)
    kept = ask(reflector, 5, check=1)
    assert kept is not None
    assert kept.received_count == 3
    forgotten = ask(reflector, 6, check=2)
    assert forgotten is not None
    assert forgotten.received_count == 1


def test_what_a_router_told_of_a_session_is_in_its_next_answers_only_if_it_can_be() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    ask(reflector, 1)
    for check, mtu in ((7, 1_400), (7, 1_300), (7, 1_350), (7, 20), (8, 600)):
        reflector.note_mtu(check, 1, mtu)
    told, other = ask(reflector, 2), ask(reflector, 1, check=9)
    assert told is not None
    assert other is not None
    assert (told.told_mtu, other.told_mtu) == (1_300, 0)


def ask_as_recorded(reflector: Reflector, sequence: int, *, nonce: int, sent_s: int) -> StampAnswer | None:
    request = Request(
        7, 1, sequence, ntp_of(NOW_NS), sequence, asker=short_name("prod/w1/pod"), nonce=nonce, sent_s=sent_s
    )
    return reflector.reflect(request, Arrival(NOW_NS, "10.0.0.1", 40_000, 9771, 63), interval_ns=SECOND)


def count_heard(reflector: Reflector) -> int:
    return sum(one.received for one in reflector.heard(until_ns=NOW_NS + SECOND, everything_ns=NOW_NS))


def test_what_was_recorded_before_a_restart_is_not_counted() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    for sequence in range(1, 4):
        answer = ask_as_recorded(reflector, sequence, nonce=NONCE - 1, sent_s=STARTED_S)
        assert answer is not None
        assert answer.nonce == NONCE, "an asker that was there before us learns our nonce"
    assert count_heard(reflector) == 0
    genuine = ask_as_recorded(reflector, 4, nonce=NONCE, sent_s=STARTED_S - 3600)
    assert genuine is not None
    assert (genuine.nonce, genuine.received_count) == (0, 1), "replays are not in the count of the session"
    assert count_heard(reflector) == 1


def test_an_asker_that_does_not_know_us_yet_is_counted_by_its_clock() -> None:
    """Also where none of our answers reaches it: loss on the way back is not loss on the way out."""
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    answer = ask_as_recorded(reflector, 1, nonce=0, sent_s=STARTED_S + 1)
    assert answer is not None
    assert answer.nonce == NONCE
    assert ask_as_recorded(reflector, 1, nonce=0, sent_s=STARTED_S + 1) is None, "a repeat"
    assert count_heard(reflector) == 1


def test_a_session_that_is_known_to_be_new_takes_the_place_of_the_one_before() -> None:
    reflector = Reflector("dev/w1/pod", nonce=NONCE, started_s=STARTED_S)
    for nonce, kept in ((0, 1), (NONCE, 1)):
        assert ask_as_recorded(reflector, nonce + 1, nonce=nonce, sent_s=STARTED_S) is not None
        assert len(reflector._sessions) == kept
