"""Identity of an agent over HTTP: ``GET /`` returns ``{"agent": …}``.

Rule: this tells everybody who asks, so it does not tell the boot, which names reports and seeds the nonce.
"""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError


class Identity(msgspec.Struct, frozen=True):
    """An agent; unknown fields of later versions are ignored."""

    agent: str
    boot: str = ""
    """Empty, but there: the build before this one does not take a body without it."""


_decoder = msgspec.json.Decoder(Identity)


def encode_identity(identity: Identity) -> bytes:
    """The JSON body."""
    return msgspec.json.encode(identity)


def decode_identity(body: bytes) -> Identity:
    """Read a body; :class:`RemoteFormatError` if it names no agent."""
    try:
        identity = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError("HTTP: the body names no agent") from error
    if not 0 < len(identity.agent) <= 400 or not identity.agent.isprintable():
        raise RemoteFormatError("HTTP: the agent name in the body is invalid")
    return identity
