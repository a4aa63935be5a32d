"""The agent's side of the bus: its plan, its reports, its presence, questions to it.

Rules: an agent works without the bus. :class:`AgentBus` keeps trying in the background, with a growing,
jittered pause; in the meantime ``publish`` fails at once and the caller keeps what it has. An agent hears its
plan on the plan's own subject and asks for the newest one after each connection and now and then, so that
nothing missed stays missed. Where the plan says at which address the bus itself is, an agent goes there, past
names and services, if it can: what it tells of a broken service proxy must not be carried by that proxy. It
asks for no consumer of its own, which lets its rights name exactly one key. The last reports that the bus
took are kept in memory: if the bus loses some before they are stored, the collector asks for them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from netprobe.bus.connection import (
    CONNECT_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    Connection,
    Message,
    logger,
    open_connection,
)
from netprobe.bus.encryption import can_be_at, expect_url
from netprobe.bus.login import Login, ServerTrust
from netprobe.bus.questions import Answerer, answer_message
from netprobe.bus.sent_reports import SentReports
from netprobe.bus.subjects import (
    plan_get_subject,
    plan_subject,
    presence_subject,
    probe_subject,
    windows_subject,
)
from netprobe.errors import BusAwayError, InputError, RemoteFormatError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.window import Report
from netprobe.tasks import BackgroundTasks, end_tasks
from netprobe.wire.messages import (
    Presence,
    decode_plan,
    encode_presence,
    encode_reply,
)
from netprobe.wire.reports import encode_report
from netprobe.wire.resend import (
    RESEND_HEADER,
    ResendReply,
    decode_resend_request,
    encode_resend_reply,
)

FIRST_PAUSE_S = 0.2
DIRECT_TIMEOUT_S = 2.0
"""How long an address past all services is tried; the name is the way that was promised."""
LONGEST_PAUSE_S = 5.0
PLAN_REFRESH_S = 20.0
QUESTIONS_AT_ONCE = 8
_QUESTIONS_WAITING = 16
_SEND_AGAIN_PAUSE_S = 0.25
_SEND_AGAIN_ATTEMPTS = 240
"""The stream refuses a report while it holds enough of this agent's; for a minute, as the collector waits."""


class AgentBus:
    """An agent's connection, kept up in the background.

    Use it as ``async with await AgentBus.connect(…) as bus:``.
    """

    def __init__(
        self,
        url: str,
        *,
        agent: AgentId,
        login: Login,
        trust: ServerTrust | None,
        at: str = "",
        direct_addresses: tuple[str, ...] = (),
    ) -> None:
        self._url = url
        self._at = at
        self._agent = agent
        self._login = login
        self._trust = trust
        self._connection: Connection | None = None
        self._answerer: Answerer | None = None
        self._plan: Plan | None = None
        self._first_addresses = direct_addresses
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None
        self.is_direct = False
        """Whether the connection goes past names and services."""
        self._tried: tuple[str, ...] = ()
        """Direct addresses of the bus that were tried since the plan named them."""
        self._turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._answering = BackgroundTasks()
        self._sent = SentReports()

    @classmethod
    async def connect(
        cls, url: str, *, agent: AgentId, login: Login, trust: ServerTrust | None = None,
        at: str = "", direct_addresses: tuple[str, ...] = (),
    ) -> Self:  # fmt: skip
        """Start connecting to *url* and return at once; the bus may still be away.

        *at* (``IP:PORT``) is where it is found without its name, as at the end of a tunnel; what answers
        there has to prove that it is *url* all the same. *direct_addresses* of the bus are from an earlier
        run; the first plan replaces them.
        Raises :class:`InputError` where *url*, a seed or a certificate's file is none.
        """
        expect_url(url, at=at)
        _ = login.inbox, trust and trust.context()
        bus = cls(url, agent=agent, login=login, trust=trust, at=at, direct_addresses=direct_addresses)
        await bus._tasks.__aenter__()
        bus._keeper = bus._tasks.create_task(bus._keep_connected(), name=f"bus {agent}")
        return bus

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the bus is there right now."""
        return self._connection is not None and self._connection.is_open

    async def plans(self) -> AsyncIterator[Plan]:
        """Yield the plan, and again each time it changes; only the newest counts. Ends with :meth:`close`."""
        seen: Plan | None = None
        while True:
            await self._news.wait()
            self._news.clear()
            if self._closing.is_set():
                self._news.set()
                return
            if self._plan is not None and self._plan != seen:
                seen = self._plan
                yield seen

    async def publish(self, report: Report, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Return when the stream has stored *report*; the history knows one that comes twice.

        Raises :class:`BusAwayError` at once while the bus is away, and after *timeout_s* without an answer.
        """
        data = encode_report(report)
        await self._store(windows_subject(self._agent), data, timeout_s=timeout_s)
        self._sent.note(report.boot, report.sequence, data)

    async def announce(self, presence: Presence, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Say that the agent is there; it is forgotten unless it is said again in time."""
        await self._store(presence_subject(self._agent), encode_presence(presence), timeout_s=timeout_s)

    def questions(self, answer: Answerer) -> None:
        """Answer on-demand questions with *answer* from now on, while the bus is there.

        `QUESTIONS_AT_ONCE` are answered at the same time: one that takes minutes does not delay the others.
        """
        self._answerer = answer

    async def close(self) -> None:
        """End the connection and everything that waits for it; safe to call twice."""
        self._closing.set()
        self._news.set()
        if self._keeper is None:
            return
        keeper, self._keeper = self._keeper, None
        await end_tasks([keeper])
        await self._answering.end()
        await self._tasks.__aexit__(None, None, None)

    async def _store(self, subject: str, data: bytes, *, timeout_s: float) -> None:
        connection = self._connection
        if connection is None:
            raise BusAwayError("the bus is away")
        reply = await connection.request(subject, data, timeout_s=timeout_s)
        refusal = refusal_in(reply.data)
        if refusal is not None:
            raise BusAwayError(f"the bus did not store it: {refusal}")

    async def _keep_connected(self) -> None:
        pause_s = FIRST_PAUSE_S
        said = ""
        while True:
            try:
                await self._work_on_one_connection()
                pause_s, said = FIRST_PAUSE_S, ""
                if self._direct_addresses == self._tried:
                    logger.info("%s: the bus is away", self._agent)
            except (SystemRefusedError, InputError) as error:
                if str(error) != said:
                    logger.warning("%s: %s; trying again", self._agent, error)
                said = str(error)
            logger.debug("%s: connecting again in about %.1f s", self._agent, pause_s)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads a herd, no secret
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _work_on_one_connection(self) -> None:
        """Serve one connection until it is lost."""
        direct = await self._open_direct()
        connection = direct or await open_connection(
            self._url, login=self._login, name=str(self._agent), trust=self._trust, at=self._at
        )
        try:
            await connection.subscribe(plan_subject(self._agent), self._hear_plan)
            await connection.subscribe(
                probe_subject(self._agent), self._hear_question, pending=_QUESTIONS_WAITING
            )
            await connection.flush(timeout_s=CONNECT_TIMEOUT_S)
            self._connection = connection
            self.is_direct = direct is not None
            while connection.is_open:
                await self._refresh_plan(connection)
                if self._direct_addresses != self._tried:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(PLAN_REFRESH_S):
                        await connection.wait_ended()
        finally:
            self._connection, self.is_direct = None, False
            await connection.close()

    @property
    def _direct_addresses(self) -> tuple[str, ...]:
        return self._plan.bus if self._plan is not None else self._first_addresses

    async def _open_direct(self) -> Connection | None:
        """The bus at an address of its own; None where it cannot be reached there."""
        self._tried = self._direct_addresses
        for address in (one for one in self._tried if can_be_at(self._url, one)):
            with suppress(SystemRefusedError):
                return await open_connection(
                    self._url, login=self._login, name=str(self._agent), trust=self._trust, at=address,
                    timeout_s=DIRECT_TIMEOUT_S,
                )  # fmt: skip
        return None

    async def _refresh_plan(self, connection: Connection) -> None:
        try:
            await self._hear_plan(await connection.request(plan_get_subject(self._agent), b""))
        except BusAwayError as error:
            logger.debug("%s: asking for the plan: %s", self._agent, error)

    async def _hear_plan(self, message: Message) -> None:
        if not message.data:
            return  # no plan yet (status 404), or a deleted key
        try:
            plan = decode_plan(message.data)
        except RemoteFormatError as error:
            logger.warning("%s: a plan was dropped: %s", self._agent, error)
            return
        if plan.agent != self._agent:
            logger.warning("%s: a plan for %s was dropped", self._agent, plan.agent)
        else:
            self._plan = plan
            self._news.set()

    async def _hear_question(self, message: Message) -> None:
        """Take the question as soon as it is its turn; until then the next ones wait at the bus."""
        if not message.reply:
            return
        await self._turns.acquire()
        answering = self._send_again(message) if message.header(RESEND_HEADER) else self._answer(message)
        task = self._answering.start(answering, name=f"{self._agent}: answering a question")
        task.add_done_callback(lambda _: self._turns.release())

    async def _answer(self, message: Message) -> None:
        reply = await answer_message(self._agent, self._answerer, message.data)
        connection = self._connection  # as it is now: the question may have outlived the one it came by
        if connection is None:
            logger.warning("%s: the bus went away before an answer was there", self._agent)
            return
        with suppress(SystemRefusedError):
            await connection.publish(message.reply, encode_reply(reply))

    async def _send_again(self, message: Message) -> None:
        """Answer with the numbers that are still here, then put them into the stream once more."""
        try:
            request = decode_resend_request(message.data)
        except RemoteFormatError as error:
            logger.warning("%s: dropped: %s", self._agent, error)
            return
        mine = request.agent == self._agent
        kept = self._sent.find(request.boot, request.first, request.last) if mine else ()
        reply = ResendReply(self._agent, tuple(each.number for each in kept))
        connection = self._connection
        if connection is None:
            return
        with suppress(SystemRefusedError):
            await connection.publish(message.reply, encode_resend_reply(reply))
        for each in kept:
            await self._store_patiently(windows_subject(self._agent), each.data)

    async def _store_patiently(self, subject: str, data: bytes) -> None:
        for _ in range(_SEND_AGAIN_ATTEMPTS):
            with suppress(SystemRefusedError):
                await self._store(subject, data, timeout_s=REQUEST_TIMEOUT_S)
                return
            await asyncio.sleep(_SEND_AGAIN_PAUSE_S)
        logger.warning("%s: a report could not be sent again", self._agent)


def refusal_in(ack: bytes) -> str | None:
    """What a stream's acknowledgement complains about, or None where it stored this very message.

    A duplicate is none that was stored: another message was, and who sent it is not known.
    """
    try:
        told = json.loads(ack)
        error = told.get("error")
    except (ValueError, AttributeError):
        return "its answer is not understood"
    if error is not None:
        return str(error.get("description", error)) if isinstance(error, dict) else str(error)
    if told.get("duplicate"):
        return "it took it for one that it had"
    return None if isinstance(told.get("seq"), int) else "its answer is not understood"
