"""What the collector asks an agent for where reports were destroyed on the bus, and the agent's answer.

Rule: it goes where questions go, with `RESEND_HEADER`, so it needs no right of its own. An agent of an
earlier build reads it as a malformed question and declines it; that answer cannot be decoded here.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.names import AgentId
from netprobe.wire.envelope import Codec

RESEND_HEADER = "Netprobe-Resend"
MAX_RESEND_BYTES = 4 * 1024


@dataclass(frozen=True, slots=True)
class ResendRequest:
    """Reports of one run of an agent, by their numbers, *first* to *last*."""

    agent: AgentId
    boot: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ResendReply:
    """The numbers that the agent still has, and sends again now."""

    agent: AgentId
    numbers: tuple[int, ...]


_REQUESTS = Codec(ResendRequest, name="resend request", limit=MAX_RESEND_BYTES)
_REPLIES = Codec(ResendReply, name="resend reply", limit=MAX_RESEND_BYTES)


def encode_resend_request(request: ResendRequest) -> bytes:
    """The bytes of a request."""
    return _REQUESTS.encode(request)


def decode_resend_request(data: bytes) -> ResendRequest:
    """Read a request; :class:`RemoteFormatError` names the field that is wrong."""
    return _REQUESTS.decode(data)


def encode_resend_reply(reply: ResendReply) -> bytes:
    """The bytes of an agent's answer."""
    return _REPLIES.encode(reply)


def decode_resend_reply(data: bytes) -> ResendReply:
    """Read an agent's answer; :class:`RemoteFormatError` names the field that is wrong."""
    return _REPLIES.decode(data)
