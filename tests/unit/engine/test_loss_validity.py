"""A sick agent never looks like a sick network."""

from __future__ import annotations

import pytest

from netprobe.engine.inflight import CheckCounters, PendingProbe, SequenceState
from netprobe.engine.loss_validity import LossValidity
from netprobe.engine.stall_tracker import StallTracker
from netprobe.model.check import Probe
from netprobe.model.outcome import NotMeasured
from netprobe.model.prose import Prose
from tests.unit.probes.questions import make_check

MS = 1_000_000
SENT_NS = 5_000 * MS


def make_open(kind: str, port: int = 0) -> PendingProbe:
    check = make_check(Probe(kind, port=port, timeout_ns=500 * MS))
    return PendingProbe(check, 1, SENT_NS, CheckCounters(check), SequenceState())


def stalled(began_ms: int, length_ms: int) -> StallTracker:
    stalls = StallTracker()
    stalls.note(due_ns=SENT_NS + began_ms * MS, now_ns=SENT_NS + (began_ms + length_ms) * MS)
    return stalls


@pytest.mark.parametrize(
    ("began_ms", "length_ms", "is_doubted"),
    [
        pytest.param(100, 300, True, id="a stall while the answer could come"),
        pytest.param(-100, 300, True, id="a stall that began before"),
        pytest.param(100, 200, False, id="too short to matter"),
        pytest.param(-900, 800, False, id="over before the probe left"),
        pytest.param(600, 800, False, id="after the deadline"),
    ],
)
def test_a_loss_during_a_stall_is_doubted(began_ms: int, length_ms: int, is_doubted: bool) -> None:
    doubt = LossValidity(stalled(began_ms, length_ms), now_ns=SENT_NS + 9_000 * MS)
    assert (doubt(make_open("udp", 9771)) is not None) == is_doubted


def test_full_buffers_make_echoes_doubtful_and_nothing_else() -> None:
    doubt = LossValidity(StallTracker(), now_ns=SENT_NS + 9_000 * MS, dropped=4)
    assert doubt(make_open("udp", 9771)) == NotMeasured(Prose("our full buffers lost 4 packets"))
    assert doubt(make_open("icmp")) is not None
    assert doubt(make_open("tcp", 9771)) is None


def test_a_probe_whose_time_is_not_over_is_not_lost() -> None:
    doubt = LossValidity(StallTracker(), now_ns=SENT_NS + 499 * MS)
    assert doubt(make_open("icmp")) == NotMeasured(Prose("sent too late in its interval"))
