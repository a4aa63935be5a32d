"""Attacks of one agent on the others, with headers, sizes and numbers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from netprobe.bus.agent import refusal_in
from netprobe.bus.collector import MAX_WAITING
from netprobe.bus.connection import Connection, Handler, Message
from netprobe.bus.keys import public_key
from netprobe.bus.login import Login, SeedLogin
from netprobe.bus.permissions import agent_rights, operator_user
from netprobe.bus.subjects import plan_subject, presence_subject, windows_subject
from netprobe.errors import SystemRefusedError
from netprobe.model.window import Report
from netprobe.wire.messages import Presence, encode_presence
from tests.attack.replies import targets
from tests.attack.tally import AttackTally
from tests.attack.world import STREAMS, THIEF_BY_KEY, THIEF_BY_TOKEN, VICTIM, AttackedBus, plan_of, world
from tests.unit.wire.test_reports import REPORT

ANSWER = b'{"error":{"code":400,"description":"no"}}'
FLOOD = 80
"""More messages than one agent may have waiting."""
SUBSCRIPTIONS = 100
_CUT_WITHIN_S = 20
_REFUSED_WITHIN_S = 5
_LOOK_S = 0.02
_ANSWERS = 3
_EARS = 16
"""Subscriptions of one connection, below what an agent may have."""
OF_NO_AGENT = "np1.elsewhere"
"""A subject on which no role may say anything."""
LARGE = 4 * 1024 * 1024 + 1


async def attack_directly() -> AttackTally:
    """Say on every subject of others, and listen to it, as every role."""
    tally = AttackTally()
    async with world() as here:
        for thief in (THIEF_BY_KEY, THIEF_BY_TOKEN):
            login = here.login_of(thief)
            own = agent_rights(thief, login.inbox).publish
            await _say_everything(here, (login, str(thief)), own, tally)
        rights = operator_user(public_key(here.operator))["permissions"]["publish"]["allow"]
        own = tuple(right.removesuffix(">") for right in rights)
        await _say_everything(here, (SeedLogin(here.operator), "asker"), own, tally)
    return tally


async def _say_everything(
    here: AttackedBus, role: tuple[Login, str], own: tuple[str, ...], tally: AttackTally
) -> None:
    """Say with one connection; listen with several, as a server cuts one that subscribes to too much."""
    heard: list[str] = []

    async def hear(message: Message) -> None:
        heard.append(message.subject)

    foreign = [subject for subject in targets(here) if not subject.startswith(own)]
    ears = []
    for begin in range(0, len(foreign), _EARS):
        ears.append(await here.open(*role))
        for subject in foreign[begin : begin + _EARS]:
            with suppress(SystemRefusedError):
                await ears[-1].subscribe(subject, hear)
    thief = await here.open(*role)
    refused = await asyncio.gather(*(_is_refused(thief, subject) for subject in foreign))
    for subject, is_refused in zip(foreign, refused, strict=True):
        tally.note(f"say {subject}", held=is_refused)
    await here.restore()
    for ear in ears:
        await ear.flush()
    tally.note("hear what is for others", held=not heard)


async def _is_refused(thief: Connection, subject: str) -> bool:
    """Whether the server says that this subject is not the thief's."""
    try:
        await thief.request(subject, b"", timeout_s=_REFUSED_WITHIN_S)
    except SystemRefusedError as error:
        return "does not let us" in str(error)
    return False


async def attack_message_ids() -> AttackTally:
    """Spend the ids under which the victim's reports would be known."""
    tally = AttackTally()
    async with world() as here:
        thief = await here.open(here.login_of(THIEF_BY_KEY), str(THIEF_BY_KEY))
        for sequence in range(1, MAX_WAITING + 1):
            name = f"{VICTIM}#{REPORT.boot}#{sequence}"
            await thief.request(windows_subject(THIEF_BY_KEY), b"junk", headers={"Nats-Msg-Id": name})
            before = await _count(here, windows_subject(VICTIM))
            with suppress(SystemRefusedError):
                await here.victim.publish(_report(sequence))
            tally.note(name, held=await _count(here, windows_subject(VICTIM)) == before + 1)
    return tally


def _report(sequence: int) -> Report:
    return replace(REPORT, agent=VICTIM, sequence=sequence)


async def attack_roll_ups() -> AttackTally:
    """Remove what others said, by a header on one's own."""
    tally = AttackTally()
    async with world() as here:
        thief = await here.open(here.login_of(THIEF_BY_KEY), str(THIEF_BY_KEY))
        presence = encode_presence(Presence(THIEF_BY_KEY, "b", 1))
        for subject in (presence_subject(THIEF_BY_KEY), windows_subject(THIEF_BY_KEY)):
            for header in ("all", "sub"):
                await here.restore()
                await here.victim.publish(_report(1))
                before = await here.read_state()
                await thief.request(subject, presence, headers={"Nats-Rollup": header})
                tally.note(f"{subject} {header}", held=await here.read_state() == before)
    return tally


async def attack_statuses() -> AttackTally:
    """Reports that look like what the server says to the collector."""
    tally = AttackTally()
    async with world() as here:
        thief = await here.open(here.login_of(THIEF_BY_KEY), str(THIEF_BY_KEY))
        for status in ("404", "408", "409", "503"):
            await thief.request(windows_subject(THIEF_BY_KEY), b"junk", headers={"Status": status})
            taken = await here.collector.take()
            await here.collector.acknowledge(taken)
            tally.note(status, held=[one.data for one in taken] == [b"junk"])
    return tally


async def attack_quotas() -> AttackTally:
    """Fill the stream, the memory and the connection table."""
    tally = AttackTally()
    async with world() as here:
        thief = await here.open(here.login_of(THIEF_BY_KEY), str(THIEF_BY_KEY))
        acks = [await thief.request(windows_subject(THIEF_BY_KEY), b"junk") for _ in range(FLOOD)]
        tally.note("messages", held=any(refusal_in(ack.data) for ack in acks))
        with suppress(SystemRefusedError):
            await here.victim.publish(_report(1))
        tally.note("the victim's report", held=await _count(here, windows_subject(VICTIM)) == 1)
        ack = await thief.request(presence_subject(THIEF_BY_KEY), b"x" * 100_000)
        tally.note("a large presence", held=refusal_in(ack.data) is not None)
        for login in (here.login_of(THIEF_BY_KEY), here.login_of(THIEF_BY_TOKEN), SeedLogin(here.operator)):
            greedy = await here.open(login, str(THIEF_BY_TOKEN))
            tally.note("subscriptions", held=not await _survives_subscriptions(greedy, login.inbox))
        for thief_id in (THIEF_BY_KEY, THIEF_BY_TOKEN):
            greedy = await here.open(here.login_of(thief_id), str(thief_id))
            with suppress(SystemRefusedError):
                await greedy.publish(windows_subject(thief_id), b"x" * LARGE)
                await greedy.flush()
            tally.note("payload", held=await _is_cut(greedy))
    return tally


async def _survives_subscriptions(greedy: Connection, inbox: str) -> bool:
    async def hear(_: Message) -> None:
        pass

    with suppress(SystemRefusedError):
        for number in range(SUBSCRIPTIONS):
            await greedy.subscribe(f"{inbox}.{number}", hear)
        await greedy.flush()
    return not await _is_cut(greedy)


async def _is_cut(greedy: Connection) -> bool:
    """Whether the connection ends, by the server or by a library that hears of an excess.

    One that the library has lost says so when it is used. A server that goes on answering has read everything
    and found nothing wrong; once is not enough, because the library closes a moment after it has heard.
    """
    answers = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_CUT_WITHIN_S):
            while greedy.is_open and answers < _ANSWERS:
                answers += await _is_refused(greedy, OF_NO_AGENT)
                await asyncio.sleep(_LOOK_S)
    return not greedy.is_open


async def attack_plan_answers() -> AttackTally:
    """Answer the plans that the collector stores, before the stream does."""
    tally = AttackTally()
    async with world() as here:
        for _ in range(8):
            thief = await here.open(here.login_of(THIEF_BY_KEY), str(THIEF_BY_KEY))
            await thief.subscribe(plan_subject(THIEF_BY_KEY), _answering(thief))
            await thief.flush()
        heard: list[bytes] = []

        async def hear(message: Message) -> None:
            heard.append(message.data)

        await here.own.subscribe(f"{here.own_inbox}.>", hear)
        await here.own.flush()
        for number in range(100):
            try:
                await here.collector.put_plans([plan_of(THIEF_BY_KEY)])
            except SystemRefusedError:
                tally.note(f"plan {number}", held=False)
            else:
                tally.note(f"plan {number}", held=ANSWER not in heard)
    return tally


def _answering(thief: Connection) -> Handler:
    async def answer(message: Message) -> None:
        with suppress(SystemRefusedError):
            await thief.publish(message.reply, ANSWER)

    return answer


async def attack_streams_of_the_collector() -> AttackTally:
    """What is gone all the same is found and restored."""
    tally = AttackTally()
    async with world() as here:
        for verb in (
            *(f"STREAM.DELETE.{stream}" for stream in STREAMS),
            "CONSUMER.DELETE.np1_windows.collector",
        ):
            await here.call(verb)
            found = await here.collector.find_missing()
            await here.restore()
            tally.note(verb, held=bool(found) and await here.collector.find_missing() == ())
        await here.victim.publish(_report(1))
        tally.note("a report afterwards", held=len(await here.collector.take()) == 1)
    return tally


async def _count(here: AttackedBus, subject: str) -> int:
    told = await here.call("STREAM.INFO.np1_windows", {"subjects_filter": subject})
    subjects = told["state"].get("subjects") or {}
    return int(subjects.get(subject, 0))
