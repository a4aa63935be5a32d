"""Watched intents: what they do not want opens once, ends once, and is never called repaired by silence."""

from __future__ import annotations

import pytest

from netprobe.collector.intent_watches import MAX_WATCHES, IntentWatches
from netprobe.errors import RemoteFormatError, SystemRefusedError
from netprobe.model.finding import Cause
from netprobe.model.intent import CellVerdict, Deviation
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.wire.intent_watch import (
    MAX_DEVIATIONS,
    IntentReport,
    decode_watched,
    encode_watched,
)

PROD, DEV, NOBODY = ClusterName("prod"), ClusterName("dev"), ClusterName("")
LEAK = Deviation(
    CellVerdict.LEAK,
    PROD,
    "dev",
    "no metrics",
    3,
    Prose("prod/w1/pod → dev/w1/pod tcp/9772: answered"),
)
BROKEN = Deviation(CellVerdict.BROKEN, DEV, "prod", "web", 1, Prose("dev/w1/pod → prod/w1/pod tcp/443"))


def telling(*deviations: Deviation, watcher: str = "one", holds_ns: int = 100) -> IntentReport:
    return IntentReport(watcher, "intent.yaml", holds_ns, deviations)


def test_a_deviation_is_one_finding_while_it_lasts() -> None:
    watches = IntentWatches()
    watches.update(telling(LEAK), now_ns=10)
    watches.update(telling(LEAK, BROKEN), now_ns=20)
    told = {one.cause: (one.first_seen_ns, one.last_seen_ns) for one in watches.findings}
    assert told == {Cause.INTENT_LEAK: (10, 20), Cause.INTENT_BROKEN: (20, 20)}
    watches.update(telling(BROKEN), now_ns=30)
    assert [one.cause for one in watches.findings] == [Cause.INTENT_BROKEN]
    assert [(one.cause, one.ended_ns, one.evidence_against) for one in watches.ended] == [
        (Cause.INTENT_LEAK, 30, ())
    ]


def test_a_finding_says_who_must_not_reach_whom_and_how_that_is_known() -> None:
    watches = IntentWatches()
    watches.update(telling(LEAK), now_ns=10)
    (finding,) = watches.findings
    assert str(finding.components[0]) == "intent(prod→dev no metrics)"
    assert (
        str(finding.summary)
        == "The rule 'no metrics' forbids prod → dev, but 3 ports are reachable all the same."
    )
    assert str(finding.evidence_for[0].text) == str(LEAK.example)


def test_a_silent_watcher_proves_no_repair() -> None:
    watches = IntentWatches()
    watches.update(telling(LEAK), now_ns=10)
    assert not watches.expire(now_ns=110)
    assert watches.expire(now_ns=111)
    assert watches.findings == ()
    (over,) = watches.ended
    assert str(over.evidence_against[0].text) == "its watcher has ended: a repair is not confirmed"


def test_what_two_watch_stands_once_and_lasts_as_long_as_one_sees_it() -> None:
    watches = IntentWatches()
    watches.update(telling(LEAK), now_ns=10)
    watches.update(telling(LEAK, watcher="other"), now_ns=20)
    assert len(watches.findings) == 1
    watches.update(telling(), now_ns=30)
    assert (len(watches.findings), watches.ended) == (1, [])
    watches.update(telling(watcher="other"), now_ns=40)
    assert [one.ended_ns for one in watches.ended] == [40]


def test_not_everybody_may_watch() -> None:
    watches = IntentWatches()
    for number in range(MAX_WATCHES):
        watches.update(telling(watcher=str(number)), now_ns=1)
    with pytest.raises(SystemRefusedError, match="100 intents are watched already"):
        watches.update(telling(watcher="one more"), now_ns=1)
    watches.update(telling(LEAK, watcher="7"), now_ns=2)
    assert len(watches.findings) == 1


def test_a_telling_travels_as_it_is_and_of_very_many_the_first() -> None:
    assert decode_watched(encode_watched(telling(LEAK, BROKEN))) == telling(LEAK, BROKEN)
    many = decode_watched(encode_watched(telling(*[LEAK] * (MAX_DEVIATIONS + 1))))
    assert len(many.deviations) == MAX_DEVIATIONS


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        (telling(holds_ns=-1), "watched intent: holds_ns: is not within"),
        (
            telling(Deviation(CellVerdict.UNPROVEN, DEV, "b", "r", 1, Prose(""))),
            "unproven is not a deviation",
        ),
        (
            telling(Deviation(CellVerdict.LEAK, NOBODY, "b", "r", 1, Prose(""))),
            r"deviations\[0\]: has no source",
        ),
        (
            telling(Deviation(CellVerdict.LEAK, DEV, "b", "r", 0, Prose(""))),
            r"deviations\[0\]: has no source or no cells",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(told: IntentReport, complaint: str) -> None:
    with pytest.raises(RemoteFormatError, match=complaint):
        decode_watched(encode_watched(told))
