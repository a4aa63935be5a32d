"""The bus between agents, a collector and an operator, over a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.agent import AgentBus, refusal_in
from netprobe.bus.collector import (
    MAX_WAITING,
    CollectorBus,
    Delivery,
    _windows_stream,
    open_collector_bus,
)
from netprobe.bus.connection import Connection, Message, open_connection
from netprobe.bus.keys import new_user, public_key
from netprobe.bus.login import SeedLogin
from netprobe.bus.operator import ask_check, ask_health, ask_snapshot
from netprobe.bus.permissions import REPLY_TIME_S, agent_user
from netprobe.bus.questions import ANSWER_MARGIN_S, LONGEST_ANSWER_S
from netprobe.bus.server import Listen, run_server
from netprobe.bus.subjects import (
    inbox_of,
    plan_get_subject,
    plan_subject,
    presence_subject,
    probe_subject,
    query_subject,
    windows_subject,
)
from netprobe.errors import BusAwayError, InputError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import Reached
from netprobe.model.prose import Prose
from netprobe.model.window import Report
from netprobe.wire.conclusions import encode_snapshot
from netprobe.wire.messages import (
    CheckAnswer,
    CheckQuestion,
    Declined,
    Presence,
    Refusal,
    Reply,
    decode_plan,
    decode_report,
    encode_plan,
    encode_presence,
)
from tests.unit.nats_server import DEV, PATIENCE_S, PROD, Town, needs_nats_server, town, until
from tests.unit.wire.test_messages import CHECK, SNAPSHOT
from tests.unit.wire.test_reports import REPORT

pytestmark = needs_nats_server

PLAN = Plan(PROD, 1, (CHECK,), 10**9, b"key")


@dataclass(slots=True)
class Stage:
    """Everybody, connected."""

    town: Town
    collector: CollectorBus
    agent: AgentBus
    stack: AsyncExitStack

    async def raw(self, seed: str) -> Connection:
        """A connection that tries what the library would not."""
        connection = await open_connection(self.town.url, login=SeedLogin(seed), name="raw")
        self.stack.push_async_callback(connection.close)
        return connection


@asynccontextmanager
async def stage(directory: Path, *, presence_ttl_s: float = 30.0) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(town(directory))
        collector = await stack.enter_async_context(
            open_collector_bus(here.url, login=SeedLogin(here.collector), presence_ttl_s=presence_ttl_s)
        )
        agent = await stack.enter_async_context(
            await AgentBus.connect(here.url, agent=PROD, login=SeedLogin(here.seeds[PROD]))
        )
        await until(lambda: agent.is_connected)
        yield Stage(here, collector, agent, stack)


async def take_all(collector: CollectorBus, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    while len(taken) < count:
        taken += await collector.take()
    return taken


async def first_plan(agent: AgentBus) -> Plan:
    async for plan in agent.plans():
        return plan
    raise AssertionError("closed")


async def test_a_report_arrives_in_order_and_a_repeat_is_left_to_the_history(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.agent.publish(REPORT)
        await on.agent.publish(REPORT)
        await on.agent.publish(replace(REPORT, sequence=10))
        taken = await take_all(on.collector, 3)
        assert [decode_report(delivery.data).sequence for delivery in taken] == [9, 9, 10]
        await on.collector.acknowledge(taken)


async def test_what_is_not_acknowledged_comes_again_to_the_next_collector(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.agent.publish(REPORT)
        (delivery,) = await take_all(on.collector, 1)
        await (await on.raw(on.town.collector)).publish(delivery.token, b"-NAK")
        assert [again.data for again in await take_all(on.collector, 1)] == [delivery.data]


async def test_a_plan_reaches_its_agent_before_and_after_it_connects(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.collector.put_plans([PLAN])
        assert await first_plan(on.agent) == PLAN
        late = await AgentBus.connect(on.town.url, agent=PROD, login=SeedLogin(on.town.seeds[PROD]))
        async with late:
            assert await first_plan(late) == PLAN


async def test_a_changed_plan_is_told_and_an_equal_one_is_not(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        plans = on.agent.plans()
        await on.collector.put_plans([PLAN])
        assert await anext(plans) == PLAN
        await on.collector.put_plans([PLAN])
        await on.collector.put_plans([replace(PLAN, epoch=2)])
        assert (await anext(plans)).epoch == 2


async def test_a_plan_for_another_agent_is_not_believed(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        collector = await on.raw(on.town.collector)
        foreign = Plan(DEV, 7, (), 10**9, b"")
        await collector.request(plan_subject(PROD), encode_plan(foreign))
        await collector.request(plan_subject(PROD), b"\x01 no plan")
        await on.collector.put_plans([PLAN])
        assert await first_plan(on.agent) == PLAN


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(windows_subject(DEV), id="another's windows"),
        pytest.param(presence_subject(DEV), id="another's presence"),
        pytest.param(plan_subject(PROD), id="its own plan"),
        pytest.param(plan_get_subject(DEV), id="another's plan"),
        pytest.param(query_subject("snapshot"), id="a query"),
        pytest.param(probe_subject(DEV), id="a question"),
        pytest.param("$JS.API.STREAM.NAMES", id="the streams"),
        pytest.param("$JS.API.CONSUMER.CREATE.np1_windows", id="a consumer"),
        pytest.param("$JS.API.STREAM.PURGE.np1_windows", id="a purge"),
    ],
)
async def test_an_agent_may_not_say(tmp_path: Path, subject: str) -> None:
    async with stage(tmp_path) as on:
        agent = await on.raw(on.town.seeds[PROD])
        with pytest.raises(SystemRefusedError, match="the bus does not let us publish to"):
            await agent.request(subject, b"")


async def test_an_agent_may_hear_only_what_is_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        heard: list[Message] = []

        async def hear(message: Message) -> None:
            heard.append(message)

        agent = await on.raw(on.town.seeds[DEV])
        _, stranger = new_user()
        for subject in (
            windows_subject(PROD), plan_subject(PROD), probe_subject(PROD), "$KV.>", "np1.>", ">",
            f"{inbox_of(stranger)}.>",
        ):  # fmt: skip
            await agent.subscribe(subject, hear)
        await agent.subscribe(plan_subject(DEV), hear)
        await agent.flush()
        await on.collector.put_plans([PLAN])
        await on.agent.publish(REPORT)
        await on.collector.put_plans([Plan(DEV, 1, (), 10**9, b"")])
        await until(lambda: bool(heard))
        await agent.flush()
        assert [message.subject for message in heard] == [plan_subject(DEV)]


async def test_a_report_with_the_header_of_a_status_is_still_a_report(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        agent = await on.raw(on.town.seeds[PROD])
        await agent.request(windows_subject(PROD), b"junk", headers={"Status": "409"})
        (taken,) = await take_all(on.collector, 1)
        assert (taken.data, on.collector.refusal) == (b"junk", "")


async def test_one_agent_cannot_spend_the_message_ids_of_another(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        thief = await on.raw(on.town.seeds[DEV])
        name = f"{REPORT.agent}#{REPORT.boot}#{REPORT.sequence}"
        await thief.request(windows_subject(DEV), b"junk", headers={"Nats-Msg-Id": name})
        await on.agent.publish(REPORT)
        taken = await take_all(on.collector, 2)
        assert {delivery.subject for delivery in taken} == {windows_subject(DEV), windows_subject(PROD)}


@pytest.mark.parametrize(
    ("ack", "complaint"),
    [
        (b'{"stream":"s","seq":3}', None),
        (b'{"stream":"s","seq":3,"duplicate":true}', "it took it for one that it had"),
        (b'{"error":{"code":503,"description":"resource limits"}}', "resource limits"),
        (b"{}", "its answer is not understood"),
        (b"[]", "its answer is not understood"),
    ],
)
def test_only_what_was_stored_is_a_success(ack: bytes, complaint: str | None) -> None:
    assert refusal_in(ack) == complaint


async def test_an_agent_that_fills_its_part_of_the_stream_leaves_the_others_theirs(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        greedy = await on.raw(on.town.seeds[DEV])
        acks = [await greedy.request(windows_subject(DEV), b"junk") for _ in range(MAX_WAITING + 6)]
        refused = [complaint for ack in acks if (complaint := refusal_in(ack.data)) is not None]
        assert refused == ["maximum messages per subject exceeded"] * 6
        await on.agent.publish(REPORT)
        taken = await take_all(on.collector, MAX_WAITING + 1)
        await on.collector.acknowledge(taken)
        assert taken[-1].subject == windows_subject(PROD)


async def until_empty(owner: Connection) -> None:
    """Wait until what was acknowledged is gone: the server takes an acknowledgement without an answer."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            info = json.loads((await owner.request("$JS.API.STREAM.INFO.np1_windows", b"")).data)
            if not info["state"]["messages"]:
                return
            await asyncio.sleep(0.02)


async def test_a_stream_that_an_earlier_build_filled_further_keeps_what_waits(tmp_path: Path) -> None:
    """nats-server 2.15 deletes what a lower limit of messages per subject leaves no room for."""
    waiting = 3 * MAX_WAITING
    async with stage(tmp_path) as on:
        owner = await on.raw(on.town.collector)
        config = _windows_stream() | {"max_msgs_per_subject": waiting}
        await owner.request("$JS.API.STREAM.UPDATE.np1_windows", json.dumps(config).encode())
        for number in range(waiting):
            await on.agent.publish(replace(REPORT, sequence=number))
        await on.collector.prepare()
        taken = await take_all(on.collector, waiting)
        assert len(taken) == waiting
        await on.collector.acknowledge(taken)
        await until_empty(owner)
        await on.collector.prepare()
        acks = [await owner.request(windows_subject(DEV), b"junk") for _ in range(MAX_WAITING + 1)]
        assert refusal_in(acks[-1].data) == "maximum messages per subject exceeded"


async def test_one_agent_cannot_remove_the_presence_of_others(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.agent.announce(Presence(PROD, "b00t", 1))
        thief = await on.raw(on.town.seeds[DEV])
        ack = await thief.request(
            presence_subject(DEV), encode_presence(Presence(DEV, "b", 1)), headers={"Nats-Rollup": "all"}
        )
        assert refusal_in(ack.data) == "rollup not permitted"
        assert [presence.agent for presence in await on.collector.find_present()] == [PROD]


async def test_what_is_gone_from_the_bus_is_found_and_made_anew(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        raw = await on.raw(on.town.collector)
        assert await on.collector.find_missing() == ()
        for verb, missing in (
            ("CONSUMER.DELETE.np1_windows.collector", ("np1_windows.collector",)),
            ("STREAM.DELETE.np1_windows", ("np1_windows", "np1_windows.collector")),
            ("STREAM.DELETE.KV_np1_plans", ("KV_np1_plans",)),
            ("STREAM.DELETE.KV_np1_agents", ("KV_np1_agents",)),
        ):
            await raw.request(f"$JS.API.{verb}", b"")
            assert await on.collector.find_missing() == missing
            await on.collector.prepare()
            assert await on.collector.find_missing() == ()
        await on.agent.publish(REPORT)
        assert len(await take_all(on.collector, 1)) == 1


async def test_a_request_for_reports_that_is_refused_says_why(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await (await on.raw(on.town.collector)).request("$JS.API.CONSUMER.DELETE.np1_windows.collector", b"")
        assert await on.collector.take() == ()
        assert on.collector.refusal == "the bus refuses requests for reports: there is no such consumer (503)"
        await on.collector.prepare()
        await on.agent.publish(REPORT)
        assert len(await take_all(on.collector, 1)) == 1
        assert on.collector.refusal == ""


async def test_a_plan_that_an_agent_answers_is_still_stored(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        agent, heard = await on.raw(on.town.seeds[PROD]), list[int]()

        async def answer(message: Message) -> None:
            heard.append(decode_plan(message.data).epoch)
            await agent.publish(message.reply, b'{"error":{"description":"no"}}')

        await agent.subscribe(plan_subject(PROD), answer)
        await agent.flush()
        for epoch in range(1, 51):
            await on.collector.put_plans([replace(PLAN, epoch=epoch)])
        # On a busy machine the server may learn of a subscription in another account only after its PONG.
        await until(lambda: heard[-1:] == [50])
        assert heard[-49:] == list(range(2, 51))


@pytest.mark.parametrize("subject", [windows_subject(PROD), plan_subject(PROD), plan_get_subject(PROD)])
async def test_an_operator_only_asks(tmp_path: Path, subject: str) -> None:
    async with stage(tmp_path) as on:
        operator = await on.raw(on.town.operator)
        with pytest.raises(SystemRefusedError, match="the bus does not let us"):
            await operator.request(subject, b"")


async def test_a_stranger_is_told_that_nobody_knows_it(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        seed, _ = new_user()
        with pytest.raises(SystemRefusedError, match="does not know our key"):
            await open_connection(here.url, login=SeedLogin(seed), name="stranger")


async def test_questions_are_answered_or_declined(tmp_path: Path) -> None:
    async def answer(question: CheckQuestion) -> Reply:
        if question.asked_by == "mallory":
            raise InputError("10.0.0.1 is not an allowed target")
        return CheckAnswer(PROD, question.check.id, (Reached(5),))

    async with stage(tmp_path) as on:
        nobody = await ask_check(on.town.access, CHECK)
        assert nobody == Declined(PROD, Prose("the agent answers no questions"), Refusal.NO_ANSWERER)
        on.agent.questions(answer)
        assert await ask_check(on.town.access, CHECK) == CheckAnswer(PROD, CHECK.id, (Reached(5),))
        declined = await ask_check(on.town.access, CHECK, asked_by="mallory")
        assert declined == Declined(PROD, Prose("10.0.0.1 is not an allowed target"), Refusal.NOT_ASKABLE)
        with pytest.raises(BusAwayError, match="no answer on the bus"):
            await ask_check(on.town.access, replace(CHECK, source=DEV))


async def test_a_question_that_takes_long_keeps_no_other_waiting(tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    slow = replace(CHECK, id=CheckId(CHECK.id + 1), probe=replace(CHECK.probe, timeout_ns=300_000_000_000))

    async def answer(question: CheckQuestion) -> Reply:
        if question.check.id == slow.id:
            await goes_on.wait()
        return CheckAnswer(PROD, question.check.id, (Reached(5),))

    async with stage(tmp_path) as on, asyncio.TaskGroup() as group:
        on.agent.questions(answer)
        long = group.create_task(ask_check(on.town.access, slow))
        assert await ask_check(on.town.access, CHECK) == CheckAnswer(PROD, CHECK.id, (Reached(5),))
        assert not long.done()
        goes_on.set()
        assert await long == CheckAnswer(PROD, slow.id, (Reached(5),))


async def test_an_answer_has_the_time_of_its_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netprobe.bus.questions.ANSWER_MARGIN_S", 0.1)

    async def never(_: CheckQuestion) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    short = replace(CHECK, probe=replace(CHECK.probe, timeout_ns=200_000_000), count=2)
    endless = replace(CHECK, probe=replace(CHECK.probe, timeout_ns=7_201_000_000_000))
    async with stage(tmp_path) as on:
        on.agent.questions(never)
        assert await ask_check(on.town.access, short) == Declined(
            PROD, Prose("no outcome within 0.5 s"), Refusal.OUT_OF_TIME
        )
        refused = await ask_check(on.town.access, endless)
        assert refused == Declined(PROD, Prose("7201 s are too long; at most 7200 s"), Refusal.TOO_MUCH)


def test_whoever_is_asked_may_answer_as_long_as_a_question_may_take() -> None:
    assert agent_user(PROD, "U")["permissions"]["allow_responses"]["expires"] == "7260s"
    assert REPLY_TIME_S > LONGEST_ANSWER_S + ANSWER_MARGIN_S


async def test_closing_ends_what_is_being_answered(tmp_path: Path) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def never(_: CheckQuestion) -> Reply:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with stage(tmp_path) as on, asyncio.TaskGroup() as group:
        on.agent.questions(never)
        asked = group.create_task(ask_check(on.town.access, CHECK))
        await began.wait()
        await on.agent.close()
        assert ended.is_set()
        asked.cancel()


async def test_the_collector_answers_with_a_value_or_its_error(tmp_path: Path) -> None:
    async def snapshot(_: bytes) -> bytes:
        return encode_snapshot(SNAPSHOT)

    async def health(_: bytes) -> bytes:
        raise SystemRefusedError("nothing is\nconcluded yet")

    async with stage(tmp_path) as on:
        await on.collector.serve("snapshot", snapshot)
        await on.collector.serve("health", health)
        assert await ask_snapshot(on.town.access) == SNAPSHOT
        with pytest.raises(SystemRefusedError, match="the collector says: nothing is concluded yet"):
            await ask_health(on.town.access)


async def test_presence_is_kept_and_expires(tmp_path: Path) -> None:
    async with stage(tmp_path, presence_ttl_s=0.5) as on:
        await on.agent.announce(Presence(PROD, "b00t", 1))
        assert [presence.agent for presence in await on.collector.find_present()] == [PROD]
        other = AgentId.parse("prod/gone/pod")
        assert [told.agent for told in await on.collector.find_present({PROD, other})] == [PROD]
        assert await on.collector.find_present({other}) == ()
        async with asyncio.timeout(PATIENCE_S):
            while await on.collector.find_present():  # noqa: ASYNC110 - the server has no event
                await asyncio.sleep(0.05)


async def test_without_a_bus_publishing_fails_at_once_and_closing_is_clean() -> None:
    seed, _ = new_user()
    async with await AgentBus.connect("nats://127.0.0.1:1", agent=PROD, login=SeedLogin(seed)) as bus:
        assert not bus.is_connected
        with pytest.raises(BusAwayError, match="the bus is away"):
            await bus.publish(REPORT)
    await bus.close()
    assert [plan async for plan in bus.plans()] == []


async def test_an_agent_comes_back_when_the_bus_does(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        here = await first.enter_async_context(town(tmp_path))
        agent = await stack.enter_async_context(
            await AgentBus.connect(here.url, agent=PROD, login=SeedLogin(here.seeds[PROD]))
        )
        await until(lambda: agent.is_connected)
        await first.aclose()
        await until(lambda: not agent.is_connected)
        with pytest.raises(BusAwayError):
            await agent.publish(REPORT)
        async with again(here, tmp_path) as collector:
            await until(lambda: agent.is_connected)
            await publish_patiently(agent, REPORT)
            assert len(await take_all(collector, 1)) == 1


async def test_a_bus_that_stands_still_is_away_in_time_and_is_there_when_it_goes_on(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await freeze(on.town.pid)
        try:
            with pytest.raises(BusAwayError, match="the bus did not answer: timeout"):
                await on.agent.publish(REPORT, timeout_s=0.1)
        finally:
            os.kill(on.town.pid, signal.SIGCONT)
        await publish_patiently(on.agent, REPORT)
        assert {delivery.subject for delivery in await take_all(on.collector, 1)} == {windows_subject(PROD)}


async def test_a_cancelled_publication_is_cancelled_and_not_an_absent_bus(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await freeze(on.town.pid)
        try:
            async with asyncio.TaskGroup() as tasks:
                publishing = tasks.create_task(on.agent.publish(REPORT))
                await asyncio.sleep(0.05)
                publishing.cancel()
        finally:
            os.kill(on.town.pid, signal.SIGCONT)
        assert publishing.cancelled()


async def test_whoever_waits_learns_at_once_that_the_bus_went_away(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await freeze(on.town.pid)
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(raised_by(on.agent.publish(REPORT, timeout_s=3_600)))
            taking = tasks.create_task(raised_by(on.collector.wait_ended()))
            await asyncio.sleep(0.05)
            os.kill(on.town.pid, signal.SIGKILL)
        assert isinstance(publishing.result(), BusAwayError)
        assert taking.result() is None
        with pytest.raises(BusAwayError, match="away"):
            await on.collector.take()


async def freeze(pid: int) -> None:
    """Stop every thread of a process; return when each has stopped."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    await until(
        lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads.glob("*/stat"))
    )


async def raised_by(work: Coroutine[object, object, None]) -> BaseException | None:
    """The error of *work*, or None."""
    try:
        await work
    except SystemRefusedError as error:
        return error
    return None


@asynccontextmanager
async def again(here: Town, directory: Path) -> AsyncIterator[CollectorBus]:
    """The same server, started again on the same port with the same users."""
    agents: dict[AgentId, str] = {agent: public_key(seed) for agent, seed in here.seeds.items()}
    entries = accounts(agents, (public_key(here.operator),), public_key(here.collector))
    port = int(here.url.rpartition(":")[2])
    async with (
        run_server(Listen("127.0.0.1", port), directory=directory, accounts=entries) as server,
        open_collector_bus(server.url, login=SeedLogin(here.collector)) as collector,
    ):
        yield collector


async def publish_patiently(agent: AgentBus, report: Report) -> None:
    """As an agent does: keep what could not be sent, try again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await agent.publish(report)
            except BusAwayError:
                await asyncio.sleep(0.05)
