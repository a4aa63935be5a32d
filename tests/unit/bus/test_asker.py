"""Many questions through one carrier: in order, patient with a spent rate, and never an error but its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from netprobe.bus.questions import TransportAsker
from netprobe.errors import BusAwayError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import Reached
from netprobe.model.prose import Prose
from netprobe.model.recorded_packets import PacketRecording, RecordedPacket
from netprobe.wire.messages import (
    CheckAnswer,
    Declined,
    Refusal,
    Reply,
    decode_question,
    encode_reply,
)

ME = AgentId.parse("a/w1/pod")


def check(number: int) -> Check:
    target = Target(TargetKind.OUTSIDE, "10.0.0.1", "")
    return Check(CheckId(number), ME, target, Probe("icmp"), Layer.OUTSIDE)


@dataclass
class Agent:
    """A carrier at whose other end an agent answers from a list; None for silence."""

    answers: list[Reply | None]
    heard: list[int] = field(default_factory=list)
    recorded: list[bool] = field(default_factory=list)

    async def request(self, source: AgentId, question: bytes, *, timeout_s: float) -> bytes:
        assert (source, timeout_s > 0) == (ME, True)
        asked = decode_question(question)
        self.heard.append(asked.check.id)
        self.recorded.append(asked.is_recorded)
        answer = self.answers.pop(0)
        if answer is None:
            raise BusAwayError("no agent answers on the bus")
        return encode_reply(answer)


def ask(agent: Agent, *numbers: int) -> tuple[Reply, ...]:
    asker = TransportAsker(agent, "test", pause_s=0.0)
    return asyncio.run(asker.ask(ME, [check(number) for number in numbers]))


def test_replies_come_in_the_order_of_the_questions() -> None:
    answers: list[Reply | None] = [CheckAnswer(ME, CheckId(n), (Reached(1),)) for n in (1, 2, 3)]
    agent = Agent(answers)
    assert [reply.check for reply in ask(agent, 1, 2, 3) if isinstance(reply, CheckAnswer)] == [1, 2, 3]
    assert agent.heard == [1, 2, 3]


def test_recordings_are_taken_one_per_answer_and_asked_for_only_where_they_are_taken() -> None:
    kept = PacketRecording((RecordedPacket(7, 20, b"E"),))
    answers: list[Reply | None] = [
        CheckAnswer(ME, CheckId(1), (Reached(1),), recording=kept),
        Declined(ME, Prose("no"), Refusal.NOT_ALLOWED),
        CheckAnswer(ME, CheckId(3), (Reached(1),)),
    ]
    agent, taken = Agent(answers), list[PacketRecording | None]()
    asker = TransportAsker(agent, "test", record=lambda _, recording: taken.append(recording))
    asyncio.run(asker.ask(ME, [check(number) for number in (1, 2, 3)]))
    assert taken == [kept, None]
    assert agent.recorded == [True] * 3
    plain = Agent([CheckAnswer(ME, CheckId(1), (Reached(1),))])
    ask(plain, 1)
    assert plain.recorded == [False]


def test_an_agent_whose_rate_is_spent_is_asked_again() -> None:
    spent = Declined(ME, Prose("a full minute"), Refusal.RATE_SPENT)
    agent = Agent([spent, spent, CheckAnswer(ME, CheckId(1), (Reached(1),))])
    (reply,) = ask(agent, 1)
    assert isinstance(reply, CheckAnswer)
    assert agent.heard == [1, 1, 1]


def test_an_agent_that_stays_busy_is_left_in_the_end() -> None:
    spent = Declined(ME, Prose("a full minute"), Refusal.RATE_SPENT)
    agent = Agent([spent] * 99)
    assert ask(agent, 1) == (spent,)
    assert len(agent.answers) > 80


def test_silence_costs_only_its_own_question() -> None:
    first, second = ask(Agent([None, Declined(ME, Prose("no such address"))]), 1, 2)
    assert first == Declined(ME, Prose("no agent answers on the bus"), Refusal.NOT_REACHED)
    assert second == Declined(ME, Prose("no such address"))
