"""Hosts without an agent: their tools' answers as port verdicts; an unreachable host declines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from netprobe.model.check import Check, Layer, Probe, Target, TargetKind, check_id
from netprobe.model.names import AgentId
from netprobe.model.outcome import AppFailed, NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.ssh import SshAccess, SshHop
from netprobe.model.verdict import Transport, Verdict
from netprobe.wire.messages import CheckAnswer, Declined, Reply
from netprobe.workflows.ssh_asker import HostsAsker, _verdict_of

WEST, EAST = AgentId.parse("west/gw/host"), AgentId.parse("east/gw/host")
TARGET = Target(TargetKind.OUTSIDE, "10.3.0.2", "10.3.0.2")
PROBE = Probe("ports", options=(("icmp", "1"), ("tcp", "22-24")))
CHECK = Check(check_id(WEST, TARGET, PROBE), WEST, TARGET, PROBE, Layer.OUTSIDE, 1)


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Reached(5), Verdict.OPEN),
        (Refused(5), Verdict.CLOSED),
        (Rejected("10.3.0.1", 3, 1), Verdict.REJECTED),
        (TimedOut(5), Verdict.FILTERED),
        (NotMeasured(Prose("no tool")), Verdict.UNKNOWN),
        (AppFailed(Prose("odd")), Verdict.UNKNOWN),
    ],
)
def test_an_outcome_is_a_verdict_on_a_door(outcome: Outcome, verdict: Verdict) -> None:
    told = _verdict_of("10.3.0.2", Transport.TCP, 22, outcome)
    assert told.verdict is verdict
    assert bool(told.reason) is (verdict is Verdict.UNKNOWN)


class Agents:
    """Everybody who has an agent."""

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        return tuple(CheckAnswer(source, check.id, (Reached(1),)) for check in checks)


async def test_who_has_an_agent_is_asked_as_before() -> None:
    (reply,) = await HostsAsker({}, Agents()).ask(EAST, [CHECK])
    assert isinstance(reply, CheckAnswer)


async def test_a_host_that_cannot_be_reached_declines_every_question_in_one_line() -> None:
    done: list[object] = []
    nowhere = SshAccess(SshHop("127.0.0.1", user="nobody", port=1, host_key=""), agent=False)
    replies = await HostsAsker({WEST: nowhere}, Agents(), done.append).ask(WEST, [CHECK, CHECK])
    assert done == [WEST]
    assert len(replies) == 2
    for reply in replies:
        assert isinstance(reply, Declined)
        assert "127.0.0.1:1" in str(reply.reason)
        assert "\n" not in str(reply.reason)
