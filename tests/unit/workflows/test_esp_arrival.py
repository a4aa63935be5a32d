"""What the counters of a far gateway make of silence: as many as were sent, not fewer, not others'."""

from __future__ import annotations

import pytest

from netprobe.craft.kind import Answered, Counted, Silent
from netprobe.discovery.gateway.interface import AddressPair
from netprobe.discovery.gateway.ipsec_refusals import READER
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.gateway import Fact, IpsecRefusals, Reading, RuleCounter
from netprobe.workflows.esp_arrival import judge_counters

SILENT = Silent(5, "why")
XFRM_STAT = b"XfrmInError             \t0\nXfrmInNoStates          \t{}\nXfrmInStateProtoError   \t7\n"


def reading(*facts: Fact) -> Reading:
    return Reading("dev/gw", 7, facts)


def read(count: int) -> tuple[Fact, ...]:
    return READER.read({"xfrm-stat": XFRM_STAT.replace(b"{}", str(count).encode())})


def test_the_kernel_s_counter_of_packets_without_an_association_is_read() -> None:
    assert read(12) == (IpsecRefusals(12),)
    assert READER.read({}) == ()
    (command,) = READER.commands(AddressPair())
    assert command.argv()[-2:] == ("cat", "/proc/net/xfrm_stat")
    with pytest.raises(HostOutputError):
        READER.read({"xfrm-stat": b"XfrmInNoStates -1"})


@pytest.mark.parametrize(
    ("before", "after", "arrived"),
    [(4, 12, True), (4, 13, True), (4, 11, False), (4, 20, False), (4, 4, False)],
)
def test_ipsec_that_refused_as_many_as_were_sent_has_got_them(before: int, after: int, arrived: bool) -> None:
    told = judge_counters(SILENT, (reading(*read(before)), reading(*read(after))), sent=8)
    assert isinstance(told, Counted)
    assert told.has_arrived is arrived
    assert told.counters == ((IpsecRefusals(after - before),) if arrived else ())


def test_a_rule_that_drops_them_took_them_and_one_that_accepts_says_nothing() -> None:
    def rules(dropped: int, accepted: int) -> Reading:
        return reading(
            RuleCounter("inet t in", 0, "drop", dropped), RuleCounter("inet t in", 1, "accept", accepted)
        )

    taken = judge_counters(SILENT, (rules(1, 1), rules(9, 9)), sent=8)
    assert taken == Counted(5, 8, (RuleCounter("inet t in", 0, "drop", 8),))
    assert not taken.has_arrived
    assert judge_counters(SILENT, (rules(1, 1), rules(1, 9)), sent=8) == Counted(5, 8, ())


def test_counters_change_only_a_silence_after_packets() -> None:
    same = reading(*read(0)), reading(*read(8))
    assert judge_counters(Answered(3), same, sent=8) == Answered(3)
    assert judge_counters(SILENT, same, sent=0) == SILENT
