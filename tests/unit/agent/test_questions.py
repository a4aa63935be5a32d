"""On-demand checks: which targets may be asked, and the replies."""

from __future__ import annotations

import pytest

from netprobe.errors import InputError
from netprobe.model.check import Check, Plan, Probe
from netprobe.model.outcome import Reached
from netprobe.model.prose import Prose
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.packets import write_payloads
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Declined, OutcomeDetail, Refusal
from netprobe_agent.questions import QuestionHandler, is_allowed, parse_allowed, parse_protocols
from tests.unit.probes.questions import ASKER, make_check

PLAN = Plan(ASKER, 1, (make_check(Probe("icmp"), address="10.0.0.2"),), 1_000_000_000, b"k",
            peers=((ASKER, ("10.0.0.3",)),), askable=("10.9.0.0/24", "fd00::/64"))  # fmt: skip


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("10.0.0.2", True), ("10.0.0.3", True), ("10.9.0.77", True), ("fd00::7", True), ("192.0.2.1", True),
     ("10.0.0.4", False), ("10.9.1.1", False), ("not an address", False)],
)  # fmt: skip
def test_only_the_plan_its_askable_networks_and_the_allow_list_may_be_asked(
    address: str, allowed: bool
) -> None:
    assert is_allowed(address, PLAN, parse_allowed(["192.0.2.0/24"])) is allowed


async def test_an_answer_carries_what_came_with_the_outcome() -> None:
    seen = Observation(
        Reached(7), "dev/w1/pod", "10.0.0.9", phases_ns=(("connect", 7),), facts=make_facts((("hop 1", "r"),))
    )

    async def ask(check: Check) -> tuple[Observation, ...]:
        return (seen,)

    check = PLAN.checks[0]
    reply = await QuestionHandler(ASKER, ask, lambda: 5, plan=PLAN).answer(CheckQuestion(check))
    detail = OutcomeDetail(
        "dev/w1/pod", "10.0.0.9", Prose(""), (("connect", 7),), make_facts((("hop 1", "r"),))
    )
    assert reply == CheckAnswer(ASKER, check.id, (Reached(7),), (detail,))


async def test_an_agent_that_sends_no_packets_for_others_records_none() -> None:
    async def ask(check: Check) -> tuple[Observation, ...]:
        return (Observation(Reached(7)),)

    handler = QuestionHandler(ASKER, ask, lambda: 5, plan=PLAN, protocols=frozenset())
    reply = await handler.answer(CheckQuestion(PLAN.checks[0], is_recorded=True))
    assert isinstance(reply, CheckAnswer)
    assert reply.recording is not None
    assert "--packets none" in str(reply.recording.refused)


async def test_a_question_that_cannot_be_asked_is_declined_in_one_line() -> None:
    async def ask(check: Check) -> tuple[Observation, ...]:
        raise InputError("port 0 is not within 1–65535", where="probe.port")

    reply = await QuestionHandler(ASKER, ask, lambda: 5, plan=PLAN).answer(CheckQuestion(PLAN.checks[0]))
    assert reply == Declined(ASKER, Prose("probe.port: port 0 is not within 1–65535"), Refusal.NOT_ASKABLE)


@pytest.mark.parametrize(
    ("told", "declined"),
    [("all", False), ("udp,gre", False), ("none", True), ("icmp", True)],
)
async def test_packets_of_an_asker_are_sent_only_of_allowed_protocols_and_logged(
    told: str, declined: bool, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Check] = []

    async def ask(check: Check) -> tuple[Observation, ...]:
        asked.append(check)
        return (Observation(Reached(7)),)

    caplog.set_level("INFO", logger="netprobe_agent.questions")
    check = make_check(
        Probe("packets", 500, options=(("send", write_payloads([b"abc"])),)), address="10.0.0.2"
    )
    handler = QuestionHandler(ASKER, ask, lambda: 5, plan=PLAN, protocols=parse_protocols(told))
    reply = await handler.answer(CheckQuestion(check, "ann"))
    assert isinstance(reply, Declined) is declined
    assert len(asked) == (not declined)
    assert "1 packets of udp, 3 bytes, to 10.0.0.2" in caplog.text
    assert "question by 'ann': packets to 10.0.0.2: " in caplog.text


async def test_packets_to_an_address_outside_the_allow_list_are_declined() -> None:
    async def ask(check: Check) -> tuple[Observation, ...]:
        raise AssertionError

    check = make_check(
        Probe("packets", 500, options=(("send", write_payloads([b"abc"])),)), address="10.0.0.4"
    )
    reply = await QuestionHandler(ASKER, ask, lambda: 5, plan=PLAN).answer(CheckQuestion(check))
    assert isinstance(reply, Declined)
    assert reply.refusal is Refusal.NOT_ALLOWED


def test_a_protocol_that_no_packet_has_is_one_error() -> None:
    with pytest.raises(InputError, match=r"^--packets: 'ospf' is not all, none or one of icmp, "):
        parse_protocols("udp,ospf")
