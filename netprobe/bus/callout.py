"""NATS auth callout: for each new client the server asks for its permissions; we return them, or a refusal.

Rules. The server holds a connection back until we answer and refuses it where we do not. What may be said is
the same per agent as with an nkey (:mod:`netprobe.bus.permissions`). The answer ends with the token: the
server then drops the connection, and the agent comes back with the token that the kubelet has renewed.

Source: NATS ADR-26 (auth callout); claims are JWTs signed with nkeys (``ed25519-nkey``).
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from netprobe.bus import nkey
from netprobe.bus.accounts import AGENT_PAYLOAD_BYTES, AGENT_SUBSCRIPTIONS, AGENTS_ACCOUNT
from netprobe.bus.connection import Connection, Message, logger
from netprobe.bus.fair_queue import FairQueue
from netprobe.bus.permissions import REPLIES_MAX, REPLY_TIME_S, agent_rights
from netprobe.bus.subjects import inbox_of_agent
from netprobe.bus.tokens import Bearer, TokenRefusal
from netprobe.errors import InputError, RemoteFormatError, SystemRefusedError
from netprobe.model.names import AgentId
from netprobe.model.units import SECOND_NS
from netprobe.tasks import BackgroundTasks

SUBJECT = "$SYS.REQ.USER.AUTH"
_PENDING = 4_096
_MOST_WAITING = 512
"""Callers who wait to be judged."""
_MOST_OF_ONE_HOST = 64
_WORKERS = 2
"""How many are judged at the same time."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who wants to connect, as far as it says."""

    agent: AgentId | None
    """The agent that it claims to be; None where its name cannot be one."""
    token: str
    host: str
    """The address it comes from."""
    name: str = ""
    """As it wrote it."""


Judge = Callable[[Caller], Awaitable[Bearer | TokenRefusal]]


class _ConnectOptions(msgspec.Struct, frozen=True):
    name: str = ""
    auth_token: str = ""


class _ClientInfo(msgspec.Struct, frozen=True):
    host: str = ""


class _ServerId(msgspec.Struct, frozen=True):
    id: str


class _Ask(msgspec.Struct, frozen=True):
    user_nkey: str
    server_id: _ServerId
    client_info: _ClientInfo = _ClientInfo()
    connect_opts: _ConnectOptions = _ConnectOptions()


class _Request(msgspec.Struct, frozen=True):
    nats: _Ask


def new_issuer() -> str:
    """A fresh seed of the account key (``SA…``) that signs our answers."""
    return nkey.write_seed(secrets.token_bytes(32), nkey.KeyRole.ACCOUNT)


def issuer_key(seed: str) -> str:
    """The public key (``A…``) of an issuer's *seed*; :class:`InputError` where it is none."""
    pair = nkey.KeyPair(seed)
    if pair.role is not nkey.KeyRole.ACCOUNT:
        raise InputError("is an nkey seed, but not an account's (SA…)")
    return pair.public


async def answer_callouts(
    connection: Connection,
    tasks: BackgroundTasks,
    *,
    seed: str,
    judge: Judge,
    overload: Callable[[str], None],
) -> None:
    """Answer every callout on *connection* from now on, by *tasks*; *seed* is the issuer's.

    *overload* hears the address of each caller for whom there is no room; the server refuses it in time.
    """
    waiting: FairQueue[tuple[_Ask, str]] = FairQueue(most=_MOST_WAITING, most_per_key=_MOST_OF_ONE_HOST)

    async def take(message: Message) -> None:
        if not message.reply:
            return
        try:
            ask = read_request(message.data)
        except RemoteFormatError as error:
            logger.warning("a callout of the bus was dropped: %s", error)
            return
        if not waiting.put(ask.client_info.host, (ask, message.reply)):
            overload(ask.client_info.host)

    async def answer_forever() -> None:
        while True:
            ask, reply = await waiting.get()
            verdict = await judge(_caller_of(ask))
            with suppress(SystemRefusedError):
                await connection.publish(reply, _answer(ask, verdict, seed).encode())

    for number in range(_WORKERS):
        tasks.start(answer_forever(), name=f"answering logins {number}")
    await connection.subscribe(SUBJECT, take, pending=_PENDING)


def _answer(ask: _Ask, verdict: Bearer | TokenRefusal, seed: str) -> str:
    told: dict[str, Any] = {"type": "authorization_response", "version": 2}
    match verdict:
        case Bearer():
            told["jwt"] = _user_claims(verdict, ask.user_nkey, seed)
        case TokenRefusal(reason):
            told["error"] = str(reason)
    return _sign({"aud": ask.server_id.id, "sub": ask.user_nkey, "nats": told}, seed)


def _caller_of(ask: _Ask) -> Caller:
    options = ask.connect_opts
    try:
        agent = AgentId.parse(options.name)
    except InputError:
        agent = None
    return Caller(agent, options.auth_token, ask.client_info.host, options.name[:80])


def read_request(data: bytes) -> _Ask:
    """Parse the server's request; :class:`RemoteFormatError` if it is malformed."""
    try:
        return msgspec.json.decode(_decoded(data.split(b".")[1]), type=_Request).nats
    except (IndexError, ValueError, msgspec.DecodeError) as error:
        raise RemoteFormatError(f"callout: {error}") from error


def _user_claims(bearer: Bearer, user_nkey: str, seed: str) -> str:
    rights = agent_rights(bearer.agent, inbox_of_agent(bearer.agent))
    return _sign(
        {
            "aud": AGENTS_ACCOUNT,
            "sub": user_nkey,
            "name": str(bearer.agent),
            "exp": bearer.expires_ns // SECOND_NS,
            "nats": {
                "type": "user",
                "version": 2,
                "pub": {"allow": list(rights.publish)},
                "sub": {"allow": list(rights.subscribe)},
                "resp": {"max": REPLIES_MAX, "ttl": REPLY_TIME_S * SECOND_NS},
                "subs": AGENT_SUBSCRIPTIONS,
                "data": -1,
                "payload": AGENT_PAYLOAD_BYTES,
            },
        },
        seed,
    )


def _sign(claims: dict[str, Any], seed: str) -> str:
    pair = nkey.KeyPair(seed)
    claims = {"iss": pair.public, **claims}
    head = _encoded({"typ": "JWT", "alg": "ed25519-nkey"})
    body = f"{head}.{_encoded(claims)}"
    return f"{body}.{base64.urlsafe_b64encode(pair.sign(body.encode())).rstrip(b'=').decode()}"


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
