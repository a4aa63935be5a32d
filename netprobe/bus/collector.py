"""The collector's side of the bus: streams and buckets, reports in, plans out, queries answered.

Rules: a report is acknowledged only after the caller has stored it, so a crash in between brings it again;
the store knows repeats, so the stream needs no message ids. Nothing here opens a message. What the bus
refuses does not end the collector: it is a reason why reports do not arrive (`CollectorBus.refusal`), or a
lost bus.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from netprobe.bus.agent import refusal_in
from netprobe.bus.callout import Judge, answer_callouts
from netprobe.bus.connection import Connection, Message, open_connection
from netprobe.bus.connection_limit import ConnectionLimit
from netprobe.bus.login import SeedLogin, ServerTrust
from netprobe.bus.plan_requests import PlanRequests
from netprobe.bus.stream_subjects import count_by_subject
from netprobe.bus.subjects import (
    AGENTS_BUCKET,
    BEAT,
    EACH_PLAN,
    EACH_PRESENCE,
    EACH_WINDOW,
    PLANS_BUCKET,
    WINDOWS_STREAM,
    agent_of,
    plan_subject,
    presence_subject,
    probe_subject,
    query_subject,
    stream_of,
)
from netprobe.errors import BusAwayError, NetprobeError, RemoteFormatError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.units import SECOND_NS
from netprobe.tasks import BackgroundTasks
from netprobe.wire.messages import MAX_PRESENCE_BYTES, Presence, decode_presence, encode_plan
from netprobe.wire.reports import MAX_REPORT_BYTES
from netprobe.wire.resend import (
    RESEND_HEADER,
    ResendRequest,
    decode_resend_reply,
    encode_resend_request,
)

API_TIMEOUT_S = 5.0
PULL_S = 5.0
"""How long one request for reports stands at the server."""
BATCH = 256
BATCH_BYTES = 8 * 1024 * 1024
"""So that agents with giant reports cannot fill our memory; half of what the server holds for a client."""
PRESENCE_TTL_S = 30.0
ERROR_HEADER = "Netprobe-Error"

_CONSUMER = "collector"
_ACK_WORDS, _STORED = 9, -2
"""Of ``$JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.….TIME.PENDING`` (NATS ADR-15; longer with domains)."""
_ACK_WAIT_S = 30
_DUPLICATE_WINDOW_S = 0.1
"""The least that the server allows. Message ids are not ours alone: one agent could spend another's."""
_MAX_STREAM_BYTES = 4 * 1024 * 1024 * 1024
MAX_WAITING = 8
"""Reports of one agent in the stream; more are refused. Others wait behind few, and do not find it full."""
_HEADER_BYTES = 64 * 1024
_NAME_IN_USE = 10_058
_PULL_GRACE_S = 5.0
_REFUSED_PAUSE_S = 0.5
_GONE = frozenset({10_014, 10_059})
"""No such consumer, no such stream."""
_NO_RESPONDERS = "503"
_ENDED = frozenset({"404", "408"})
_ENDED_BY_SIZE = ("batch completed", "message size exceeds maxbytes")
"""Statuses and descriptions with which a request for reports ends as it should."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of the stream as it came; *token* acknowledges it."""

    subject: str
    data: bytes
    token: str

    @property
    def stored_ns(self) -> int | None:
        """Wall time at which the stream stored it; None where the token does not tell."""
        words = self.token.split(".")
        return int(words[_STORED]) if len(words) >= _ACK_WORDS and words[_STORED].isdecimal() else None


Query = Callable[[bytes], Awaitable[bytes]]


class CollectorBus:
    """One connection of the collector; when it is lost every method raises :class:`BusAwayError`."""

    def __init__(self, connection: Connection, *, presence_ttl_s: float = PRESENCE_TTL_S) -> None:
        self._connection = connection
        self._inbox = connection.new_inbox()
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._asked_for = 0
        self._answering = BackgroundTasks()
        self._presence_ttl_s = presence_ttl_s
        self.refusal = ""
        """Why the server's last answer to a request for reports was none; empty where it was one."""

    async def put_plans(self, plans: Iterable[Plan]) -> None:
        """Hand every agent its plan."""
        for plan in plans:
            await self._store(plan_subject(plan.agent), encode_plan(plan))

    async def take(self) -> tuple[Delivery, ...]:
        """Wait for reports; return those that are here, or none after :data:`PULL_S`."""
        if self._asked_for <= 0:
            if self.refusal:
                await asyncio.sleep(_REFUSED_PAUSE_S)
            await self._ask_for_more()
        first = await self._next_message()
        if first is None:
            return ()
        messages = [first]
        while len(messages) < BATCH and not self._arrived.empty():
            messages.append(self._arrived.get_nowait())
        return tuple(delivery for message in messages if (delivery := self._delivery_of(message)) is not None)

    async def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the stream that these need not come again."""
        for delivery in deliveries:
            await self._connection.publish(delivery.token, b"+ACK")

    async def ask_again(self, request: ResendRequest) -> tuple[int, ...] | None:
        """Ask an agent for reports that are missing: the numbers that it sends again.

        None where it is not there now. None of them where it has none, or is of a build that keeps none.
        """
        try:
            reply = await self._connection.request(
                probe_subject(request.agent), encode_resend_request(request),
                timeout_s=API_TIMEOUT_S, headers={RESEND_HEADER: "1"},
            )  # fmt: skip
            return decode_resend_reply(reply.data).numbers
        except RemoteFormatError:
            return ()
        except SystemRefusedError:
            return None

    async def publish_beat(self, data: bytes, *, timeout_s: float) -> None:
        """Put a message of our own behind the reports that wait; return when the stream has stored it."""
        reply = await self._connection.request(BEAT, data, timeout_s=timeout_s)
        refusal = refusal_in(reply.data)
        if refusal is not None:
            raise BusAwayError(f"the bus does not store: {refusal}")

    async def serve(self, verb: str, answer: Query) -> None:
        """Answer each query *verb* with *answer*; its :class:`NetprobeError` becomes the asker's error."""

        async def reply_to(message: Message) -> None:
            if not message.reply:
                return
            with suppress(SystemRefusedError):
                try:
                    await self._connection.publish(message.reply, await answer(message.data))
                except NetprobeError as error:
                    await self._connection.publish(
                        message.reply, b"", headers={ERROR_HEADER: _one_line(error)}
                    )

        await self._connection.subscribe(query_subject(verb), reply_to, pending=256)

    async def answer_callouts(
        self, *, issuer_seed: str, judge: Judge, overload: Callable[[str], None] = lambda _: None
    ) -> None:
        """Let *judge* say who may come in with a token; see :mod:`netprobe.bus.callout`."""
        await answer_callouts(
            self._connection, self._answering, seed=issuer_seed, judge=judge, overload=overload
        )

    async def limit_connections(self) -> None:
        """From now on end an agent's older connections where it has too many."""
        await ConnectionLimit(self._connection).start()

    async def close(self) -> None:
        """End what answers callouts, and the connection."""
        await self._answering.end()
        await self._connection.close()

    async def find_present(self, among: Collection[AgentId] | None = None) -> tuple[Presence, ...]:
        """Every agent that said in time that it is there; with *among*, no other is asked about."""
        bucket = stream_of(AGENTS_BUCKET)
        subjects = sorted(await count_by_subject(self._call, bucket))
        if among is not None:
            subjects = sorted(set(subjects).intersection(map(presence_subject, among)))
        present = []
        for subject in subjects:
            reply = await self._connection.request(f"$JS.API.DIRECT.GET.{bucket}.{subject}", b"")
            with suppress(RemoteFormatError):  # gone in between, or never a presence
                presence = decode_presence(reply.data)
                if presence.agent == agent_of(subject):
                    present.append(presence)
        return tuple(present)

    async def wait_ended(self) -> None:
        """Return when the connection is lost."""
        await self._connection.wait_ended()

    async def open(self) -> None:
        """Make what is missing, and listen for reports: also for those that an earlier connection took.

        They would wait until the server believes that they were lost on the way (`_ACK_WAIT_S`).
        """
        with suppress(_ApiError):  # there is none
            await self._call(f"CONSUMER.DELETE.{WINDOWS_STREAM}.{_CONSUMER}", {})
        await self.prepare()
        await PlanRequests(self._connection, self._answering).start()
        await self._connection.subscribe(self._inbox, self._arrived.put)

    async def prepare(self) -> None:
        """Make the stream, its consumer and the buckets, or bring them to what they must be."""
        await self._ensure_stream(await self._with_room_for_waiting(_windows_stream()))
        await self._ensure_stream(_plans_bucket())
        await self._ensure_stream(_presence_bucket(self._presence_ttl_s))
        await self._call(f"CONSUMER.DURABLE.CREATE.{WINDOWS_STREAM}.{_CONSUMER}", _consumer())

    async def find_missing(self) -> tuple[str, ...]:
        """Streams, buckets and consumers that should be on the bus and are not."""
        verbs = [f"STREAM.INFO.{name}" for name in _STREAMS]
        verbs.append(f"CONSUMER.INFO.{WINDOWS_STREAM}.{_CONSUMER}")
        return tuple([verb.partition("INFO.")[2] for verb in verbs if await self._is_missing(verb)])

    async def _is_missing(self, verb: str) -> bool:
        try:
            await self._call(verb, {})
        except _ApiError as error:
            if error.code not in _GONE:
                raise
            return True
        return False

    async def _with_room_for_waiting(self, config: dict[str, object]) -> dict[str, object]:
        """*config* for a stream that an earlier build filled: a lower limit would delete what waits."""
        try:
            most = max((await count_by_subject(self._call, WINDOWS_STREAM)).values(), default=0)
        except _ApiError:  # there is none, or it cannot be read
            return config
        return config | {"max_msgs_per_subject": max(MAX_WAITING, most)}

    async def _ensure_stream(self, config: dict[str, object]) -> None:
        try:
            await self._call(f"STREAM.CREATE.{config['name']}", config)
        except _ApiError as error:
            if error.code != _NAME_IN_USE:
                raise
        await self._call(f"STREAM.UPDATE.{config['name']}", config)  # also replaces a spoilt description

    async def _call(self, verb: str, body: dict[str, object]) -> dict[str, object]:
        reply = await self._connection.request(
            f"$JS.API.{verb}", json.dumps(body).encode(), timeout_s=API_TIMEOUT_S
        )
        told: dict[str, object] = json.loads(reply.data)
        error = told.get("error")
        if isinstance(error, dict):
            raise _ApiError(verb, int(error.get("err_code", 0)), str(error.get("description", "")))
        return told

    async def _store(self, subject: str, data: bytes) -> None:
        reply = await self._connection.request(subject, data, timeout_s=API_TIMEOUT_S)
        refusal = refusal_in(reply.data)
        if refusal is not None:
            raise BusAwayError(f"the bus did not store {subject}: {refusal}")

    async def _ask_for_more(self) -> None:
        body = {"batch": BATCH, "max_bytes": BATCH_BYTES, "expires": round(PULL_S * SECOND_NS)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{WINDOWS_STREAM}.{_CONSUMER}"
        await self._connection.publish(subject, json.dumps(body).encode(), reply=self._inbox)
        self._asked_for = BATCH

    async def _next_message(self) -> Message | None:
        """The next arrival, or None where the request for them has run out."""
        if not self._connection.is_open:
            raise BusAwayError("the bus went away")
        try:
            async with asyncio.timeout(PULL_S + _PULL_GRACE_S):
                return await self._arrived.get()
        except TimeoutError:
            self._asked_for = 0
            self.refusal = "the bus does not answer requests for reports"
            return None

    def _delivery_of(self, message: Message) -> Delivery | None:
        if message.subject == self._inbox:  # not by its headers: those of a report are its sender's
            self._asked_for = 0
            self.refusal = _complaint_in(message)
            return None
        self.refusal = ""
        self._asked_for -= 1
        return Delivery(message.subject, message.data, message.reply)


class _ApiError(SystemRefusedError):
    def __init__(self, verb: str, code: int, description: str) -> None:
        self.code = code
        super().__init__(f"the bus refuses {verb}: {description} ({code})")


@asynccontextmanager
async def open_collector_bus(
    url: str, *, login: SeedLogin, presence_ttl_s: float = PRESENCE_TTL_S, trust: ServerTrust | None = None
) -> AsyncIterator[CollectorBus]:
    """Connect the collector and prepare the bus, for the time of the block."""
    connection = await open_connection(url, login=login, name="collector", trust=trust)
    bus = CollectorBus(connection, presence_ttl_s=presence_ttl_s)
    try:
        await bus.open()
        yield bus
    finally:
        await bus.close()


_STREAMS = (WINDOWS_STREAM, stream_of(PLANS_BUCKET), stream_of(AGENTS_BUCKET))


def _windows_stream() -> dict[str, object]:
    """A work queue: a report leaves the stream once it is stored; the history is the store's."""
    return {
        "name": WINDOWS_STREAM,
        "subjects": [EACH_WINDOW, BEAT],
        "retention": "workqueue",
        "storage": "file",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": MAX_WAITING,
        "max_msg_size": MAX_REPORT_BYTES + _HEADER_BYTES,
        "max_bytes": _MAX_STREAM_BYTES,
        "duplicate_window": round(_DUPLICATE_WINDOW_S * SECOND_NS),
        "num_replicas": 1,
    }


def _plans_bucket() -> dict[str, object]:
    return _bucket(PLANS_BUCKET, EACH_PLAN, storage="file", ttl_s=0)


def _presence_bucket(ttl_s: float) -> dict[str, object]:
    """In memory; each entry is small, so that one agent does not take what others need."""
    made = _bucket(AGENTS_BUCKET, EACH_PRESENCE, storage="memory", ttl_s=ttl_s)
    return made | {"max_msg_size": MAX_PRESENCE_BYTES}


def _bucket(name: str, keys: str, *, storage: str, ttl_s: float) -> dict[str, object]:
    """A key-value bucket (ADR-8) that keeps the last value of each key; *ttl_s* 0 keeps it for good.

    No roll-ups: they are a header of the sender's, and would let one agent remove what all others said.
    """
    return {
        "name": stream_of(name),
        "subjects": [keys],
        "storage": storage,
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_age": round(ttl_s * SECOND_NS),
        "duplicate_window": round(_DUPLICATE_WINDOW_S * SECOND_NS),
        "allow_direct": True,
        "allow_rollup_hdrs": False,
        "deny_delete": True,
        "num_replicas": 1,
    }


def _consumer() -> dict[str, object]:
    return {
        "stream_name": WINDOWS_STREAM,
        "config": {
            "durable_name": _CONSUMER,
            "ack_policy": "explicit",
            "ack_wait": _ACK_WAIT_S * SECOND_NS,
            "deliver_policy": "all",
            "max_ack_pending": -1,  # acknowledgements of a few agents may be held: not at the others' cost
        },
    }


def _one_line(error: NetprobeError) -> str:
    return " ".join(str(error).split())


def _complaint_in(message: Message) -> str:
    """What is wrong, where a request for reports did not end as it should; empty where it did."""
    status = message.header("Status") or ""
    why = (
        (message.header("Description") or "").strip().partition("\r\n")[0]
    )  # the client puts headers into it
    if status in _ENDED or why.lower().startswith(_ENDED_BY_SIZE):
        return ""
    if status == _NO_RESPONDERS:
        why = "there is no such consumer"
    return f"the bus refuses requests for reports: {why} ({status})"
