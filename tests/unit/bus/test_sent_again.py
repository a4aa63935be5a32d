"""What the bus loses before it is stored comes again from its agent, over a real nats-server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.bus.collector import MAX_WAITING
from netprobe.bus.connection import Message
from netprobe.bus.questions import answer_message
from netprobe.bus.sent_reports import SentReports
from netprobe.bus.subjects import WINDOWS_STREAM, probe_subject
from netprobe.wire.messages import encode_reply
from netprobe.wire.reports import decode_report
from netprobe.wire.resend import (
    RESEND_HEADER,
    ResendRequest,
    decode_resend_reply,
    encode_resend_request,
)
from tests.unit.bus.test_bus import stage, take_all
from tests.unit.nats_server import DEV, PROD, needs_nats_server, until
from tests.unit.wire.test_reports import REPORT


def request(first: int, last: int, *, boot: str = REPORT.boot) -> ResendRequest:
    return ResendRequest(PROD, boot, first, last)


@needs_nats_server
async def test_reports_that_the_stream_lost_are_sent_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        for sequence in range(1, 4):
            await on.agent.publish(replace(REPORT, sequence=sequence))
        collector = await on.raw(on.town.collector)
        await collector.request(f"$JS.API.STREAM.PURGE.{WINDOWS_STREAM}", b"")
        assert await on.collector.ask_again(request(1, 2)) == (1, 2)
        taken = await take_all(on.collector, 2)
        assert [decode_report(each.data) for each in taken] == [replace(REPORT, sequence=n) for n in (1, 2)]


@needs_nats_server
async def test_a_stream_that_is_full_takes_them_when_it_has_room(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        for sequence in range(1, MAX_WAITING + 1):
            await on.agent.publish(replace(REPORT, sequence=sequence))
        assert await on.collector.ask_again(request(1, 3)) == (1, 2, 3)
        first = await take_all(on.collector, MAX_WAITING)
        await on.collector.acknowledge(first)
        again = await take_all(on.collector, 3)
        assert [decode_report(each.data).sequence for each in again] == [1, 2, 3]


@needs_nats_server
async def test_an_agent_has_nothing_of_another_run_or_of_others(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.agent.publish(REPORT)
        assert await on.collector.ask_again(request(0, 99, boot="another")) == ()
        assert await on.collector.ask_again(request(98, 99)) == ()
        collector = await on.raw(on.town.collector)
        foreign = encode_resend_request(ResendRequest(DEV, REPORT.boot, 0, 99))
        reply = await collector.request(probe_subject(PROD), foreign, headers={RESEND_HEADER: "1"})
        assert decode_resend_reply(reply.data).numbers == ()


@needs_nats_server
async def test_an_agent_that_is_away_gives_no_answer(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.agent.close()
        await until(lambda: not on.agent.is_connected)
        assert await on.collector.ask_again(request(1, 2)) is None


@needs_nats_server
async def test_an_agent_of_an_earlier_build_has_none(tmp_path: Path) -> None:
    """It reads the request as a question that is malformed, and declines it."""
    async with stage(tmp_path) as on:
        await on.agent.close()
        earlier = await on.raw(on.town.seeds[PROD])

        async def decline(message: Message) -> None:
            reply = await answer_message(PROD, None, message.data)
            await earlier.publish(message.reply, encode_reply(reply))

        await earlier.subscribe(probe_subject(PROD), decline)
        await earlier.flush()
        answers: list[tuple[int, ...] | None] = []
        while not answers or answers[-1] is None:  # its subscription is known here a little after the flush
            answers.append(await on.collector.ask_again(request(1, 2)))
        assert answers[-1] == ()


@pytest.mark.parametrize(("most", "max_bytes", "left"), [(2, 1_000, [3, 4]), (9, 25, [3, 4]), (9, 9, [])])
def test_only_the_newest_are_kept(most: int, max_bytes: int, left: list[int]) -> None:
    sent = SentReports(most=most, max_bytes=max_bytes)
    for number in range(1, 5):
        sent.note("b00t", number, bytes(10))
    assert [each.number for each in sent.find("b00t", 0, 99)] == left
