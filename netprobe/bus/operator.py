"""The asker's side of the bus: snapshots and on-demand checks.

Rule: an asker gets a value or exactly one error, within its time. A single question has a short connection of
its own; who has many asks them over one (:func:`open_asker`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from netprobe.bus.collector import ERROR_HEADER
from netprobe.bus.connection import Connection, Message, open_connection
from netprobe.bus.login import SeedLogin, ServerTrust
from netprobe.bus.questions import TransportAsker
from netprobe.bus.subjects import probe_subject, query_subject
from netprobe.errors import RemoteFormatError, SystemRefusedError
from netprobe.model.check import Check
from netprobe.model.names import AgentId
from netprobe.model.recorded_packets import PacketRecording
from netprobe.model.snapshot import Snapshot
from netprobe.wire.conclusions import decode_snapshot, encode_moment
from netprobe.wire.intent_watch import IntentReport, encode_watched
from netprobe.wire.messages import CheckQuestion, Reply, decode_reply, encode_question


@dataclass(frozen=True, slots=True)
class Access:
    """Where the bus is and who asks."""

    url: str
    """``tls://host:port``, or ``nats://`` on loopback."""
    seed: str = field(repr=False)
    """The asker's secret seed (``SU…``); kept out of every representation."""
    trust: ServerTrust | None = None
    """TLS; None where the address says none, or the system's authorities count."""
    at: str = ""
    """``IP:PORT`` where it is found instead, as at the end of a tunnel; its certificate is for *url*."""


async def ask_snapshot(access: Access, *, timeout_s: float = 10.0) -> Snapshot:
    """The fleet as the collector sees it now."""
    reply = await _ask(access, query_subject("snapshot"), b"", timeout_s=timeout_s)
    return decode_snapshot(reply.data)


async def ask_moment(access: Access, at_ns: int, *, timeout_s: float = 120.0) -> Snapshot:
    """The fleet as it stood at *at_ns* (wall time), which the collector works out from its history."""
    reply = await _ask(access, query_subject("moment"), encode_moment(at_ns), timeout_s=timeout_s)
    return decode_snapshot(reply.data)


async def report_watched_intent(access: Access, told: IntentReport, *, timeout_s: float = 10.0) -> None:
    """Let the collector know what a watched intent does not want; raises where it was not taken."""
    await _ask(access, query_subject("watched"), encode_watched(told), timeout_s=timeout_s)


async def ask_health(access: Access, *, timeout_s: float = 5.0) -> dict[str, object]:
    """The collector's health: a flat mapping of its counters."""
    reply = await _ask(access, query_subject("health"), b"", timeout_s=timeout_s)
    try:
        told = json.loads(reply.data)
    except ValueError as error:
        raise RemoteFormatError("health: is not JSON") from error
    if not isinstance(told, dict):
        raise RemoteFormatError("health: is not a mapping")
    return told


async def ask_check(
    access: Access, check: Check, *, asked_by: str = "", timeout_s: float = 35.0, is_recorded: bool = False
) -> Reply:
    """Let ``check.source`` ask *check* once, now; the reply is an answer or says why it was declined."""
    question = encode_question(CheckQuestion(check, asked_by, is_recorded))
    reply = await _ask(access, probe_subject(check.source), question, timeout_s=timeout_s)
    return decode_reply(reply.data)


@asynccontextmanager
async def open_asker(
    access: Access, *, asked_by: str, record: Callable[[AgentId, PacketRecording | None], None] | None = None
) -> AsyncIterator[TransportAsker]:
    """One connection for many questions. Raises where there is no bus, or none that knows us."""
    connection = await open_connection(
        access.url, login=SeedLogin(access.seed), name="asker", trust=access.trust, at=access.at
    )
    try:
        yield TransportAsker(_BusTransport(connection), asked_by, record=record)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class _BusTransport:
    """Questions over one connection (``bus.questions.QuestionTransport``)."""

    connection: Connection

    async def request(self, source: AgentId, question: bytes, *, timeout_s: float) -> bytes:
        return (await self.connection.request(probe_subject(source), question, timeout_s=timeout_s)).data


async def _ask(access: Access, subject: str, data: bytes, *, timeout_s: float) -> Message:
    connection = await open_connection(
        access.url, login=SeedLogin(access.seed), name="asker", trust=access.trust, at=access.at
    )
    try:
        reply = await connection.request(subject, data, timeout_s=timeout_s)
    finally:
        await connection.close()
    complaint = reply.header(ERROR_HEADER)
    if complaint is not None:
        raise SystemRefusedError(f"the collector says: {complaint}")
    return reply
