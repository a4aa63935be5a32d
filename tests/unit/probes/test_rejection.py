"""What errors mean: who said what, and whose fault it is."""

from __future__ import annotations

import errno

import pytest

from netprobe.model.check import Probe, TargetKind
from netprobe.model.outcome import NotMeasured, Outcome, Refused, Rejected, TimedOut, TooBig
from netprobe.probes.rejection import IcmpError, observe_send_error, outcome_of_icmp
from tests.unit.probes.questions import make_check

UDP = Probe("udp", port=9771)
TARGET = "10.0.0.2"


@pytest.mark.parametrize(
    ("error", "means"),
    [
        pytest.param(IcmpError(4, TARGET, 3, 3), Refused(9), id="the target's own port unreachable"),
        pytest.param(IcmpError(4, "10.9.9.9", 3, 3), Rejected("10.9.9.9", 3, 3), id="a firewall's"),
        pytest.param(IcmpError(4, TARGET, 3, 13), Rejected(TARGET, 3, 13), id="admin prohibited"),
        pytest.param(IcmpError(6, TARGET, 1, 4), Refused(9), id="v6 port unreachable"),
        pytest.param(IcmpError(6, "fd00::9", 1, 1), Rejected("fd00::9", 1, 1), id="v6 admin prohibited"),
        pytest.param(IcmpError(4, "10.9.9.9", 3, 4, 1_280), TooBig(1_280, "10.9.9.9"), id="too big"),
        pytest.param(IcmpError(6, "fd00::9", 2, 0, 1_280), TooBig(1_280, "fd00::9"), id="v6 too big"),
        pytest.param(IcmpError(4, "10.9.9.9", 11, 0), Rejected("10.9.9.9", 11, 0), id="time exceeded"),
    ],
)
def test_an_icmp_error_is_read_with_its_sender(error: IcmpError, means: Outcome) -> None:
    assert outcome_of_icmp(error, make_check(UDP), rtt_ns=9) == means


def test_anybody_may_speak_for_a_service_without_endpoints() -> None:
    asked = make_check(UDP, kind=TargetKind.SERVICE, name="prod/netprobe/echo", address="10.96.0.1")
    assert outcome_of_icmp(IcmpError(4, "10.0.0.1", 3, 3), asked, rtt_ns=9) == Refused(9)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        pytest.param(errno.EMSGSIZE, NotMeasured, id="our own interface is too small"),
        pytest.param(errno.ENOBUFS, NotMeasured, id="our own queue is full"),
        pytest.param(errno.ENETUNREACH, Rejected, id="no route is the host's, not ours"),
        pytest.param(errno.EHOSTUNREACH, Rejected, id="an unreachable route"),
        pytest.param(errno.EACCES, Rejected, id="a prohibited route"),
        pytest.param(errno.EPERM, TimedOut, id="the host's own packet filter"),
    ],
)
def test_what_our_host_refuses_is_told_apart(number: int, kind: type[Outcome]) -> None:
    seen = observe_send_error(OSError(number, "said"), make_check(UDP), version=4)
    assert isinstance(seen.outcome, kind)
    assert seen.lost_out == (number == errno.EPERM), "only then it is certain that it was lost on the way out"
