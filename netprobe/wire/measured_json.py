"""What an engine measured in one interval, as a line of JSON for people and scripts: every field by name."""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.window import Measured


def encode_measured(measured: Measured) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(measured)


def decode_measured(line: bytes | str) -> Measured:
    """Read one line; :class:`RemoteFormatError` names the field that is wrong."""
    try:
        measured: Measured = msgspec.json.decode(line, type=Measured)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"a line of what was measured: {error}") from error
    return measured
