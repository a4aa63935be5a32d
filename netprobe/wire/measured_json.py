"""Result of an engine's interval as one line of JSON, for people and scripts."""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.window import Measured


def encode_measured(measured: Measured) -> bytes:
    """One line, without newline."""
    return msgspec.json.encode(measured)


def decode_measured(line: bytes | str) -> Measured:
    """Read one line; :class:`RemoteFormatError` names the invalid field."""
    try:
        measured: Measured = msgspec.json.decode(line, type=Measured)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"measured line: {error}") from error
    return measured
