"""What an engine measured in one interval, as a line of JSON for people and scripts: every field by name.

Windows are tuples in here and would else be lines without names.
"""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.window import Heard, Measured, Window

_ROWS = (("windows", Window), ("heard", Heard))


def encode_measured(measured: Measured) -> bytes:
    """One line, without its end."""
    named = {name: getattr(measured, name) for name in Measured.__slots__}
    for name, _ in _ROWS:
        named[name] = [row._asdict() for row in named[name]]
    return msgspec.json.encode(named)


def decode_measured(line: bytes | str) -> Measured:
    """Read one line; :class:`RemoteFormatError` names the field that is wrong."""
    try:
        named = msgspec.json.decode(line, type=dict[str, object])
        for name, kind in _ROWS:
            rows = msgspec.convert(named[name], list[dict[str, object]])
            named[name] = [[row[field] for field in kind._fields] for row in rows]
        return msgspec.convert(named, Measured)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"a line of what was measured: {error}") from error
    except KeyError as error:
        raise RemoteFormatError(f"a line of what was measured: {error} is missing") from error
