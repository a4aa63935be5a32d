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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import nkeys

from netprobe.bus.accounts import AGENT_PAYLOAD_BYTES, AGENT_SUBSCRIPTIONS, AGENTS_ACCOUNT
from netprobe.bus.connection import Connection, Message, logger
from netprobe.bus.permissions import REPLIES_MAX, REPLY_TIME_S, agent_rights
from netprobe.bus.subjects import inbox_of_agent
from netprobe.bus.tokens import Bearer, RefusalReason, TokenRefusal
from netprobe.errors import InputError, RemoteFormatError, SystemRefusedError
from netprobe.model.names import AgentId
from netprobe.model.units import SECOND_NS

SUBJECT = "$SYS.REQ.USER.AUTH"
_PENDING = 4_096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who wants to connect, as far as it says."""

    agent: AgentId
    """The agent that it claims to be."""
    token: str
    host: str
    """The address it comes from."""


Judge = Callable[[Caller], Bearer | TokenRefusal]
"""Must decide without blocking: other logins wait meanwhile."""


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
    return str(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_ACCOUNT).decode())


def issuer_key(seed: str) -> str:
    """The public key (``A…``) of an issuer's *seed*; :class:`InputError` where it is none."""
    try:
        public = str(nkeys.from_seed(bytearray(seed.encode())).public_key.decode())
    except (nkeys.NkeysError, ValueError) as error:
        raise InputError("is not an nkey seed") from error
    if not public.startswith("A"):
        raise InputError("is an nkey seed, but not an account's (SA…)")
    return public


async def answer_callouts(connection: Connection, *, seed: str, judge: Judge) -> None:
    """Answer every callout on *connection* from now on; *seed* is the issuer's."""

    async def answer(message: Message) -> None:
        if not message.reply:
            return
        try:
            reply = _answer(message.data, seed, judge)
        except RemoteFormatError as error:
            logger.warning("a callout of the bus was dropped: %s", error)
            return
        with suppress(SystemRefusedError):
            await connection.publish(message.reply, reply.encode())

    await connection.subscribe(SUBJECT, answer, pending=_PENDING)


def _answer(data: bytes, seed: str, judge: Judge) -> str:
    ask = read_request(data)
    verdict = _judge(ask, judge)
    told: dict[str, Any] = {"type": "authorization_response", "version": 2}
    match verdict:
        case Bearer():
            told["jwt"] = _user_claims(verdict, ask.user_nkey, seed)
        case TokenRefusal(reason):
            told["error"] = str(reason)
    return _sign({"aud": ask.server_id.id, "sub": ask.user_nkey, "nats": told}, seed)


def _judge(ask: _Ask, judge: Judge) -> Bearer | TokenRefusal:
    options = ask.connect_opts
    try:
        agent = AgentId.parse(options.name)
    except InputError:
        agent = None
    if agent is None or not options.auth_token:
        told = f"{options.name[:80]!r} from {ask.client_info.host} shows no token and no known key"
        logger.warning("refused: %s (%s)", told, RefusalReason.NO_TOKEN)
        return TokenRefusal(RefusalReason.NO_TOKEN, told)
    return judge(Caller(agent, options.auth_token, ask.client_info.host))


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
    pair = nkeys.from_seed(bytearray(seed.encode()))
    claims = {"iss": pair.public_key.decode(), **claims}
    head = _encoded({"typ": "JWT", "alg": "ed25519-nkey"})
    body = f"{head}.{_encoded(claims)}"
    return f"{body}.{base64.urlsafe_b64encode(pair.sign(body.encode())).rstrip(b'=').decode()}"


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
