"""What an engine measured in one interval, as a line of JSON for people and scripts: every field by name.

Windows are tuples in the model and would be arrays without names; here they are structs with the same fields.
"""

from __future__ import annotations

from typing import get_type_hints

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.window import Heard, Measured, Window

_Window, _Heard = (
    msgspec.defstruct(kind.__name__, list(get_type_hints(kind).items())) for kind in (Window, Heard)
)
_Line = msgspec.defstruct(
    "Measured",
    [
        *((name, kind) for name, kind in get_type_hints(Measured).items() if kind is int),
        ("windows", list[_Window]),  # type: ignore[valid-type] # made from the model
        ("heard", list[_Heard]),  # type: ignore[valid-type]
    ],
)


def encode_measured(measured: Measured) -> bytes:
    """One line, without its end."""
    numbers = {name: getattr(measured, name) for name in _Line.__struct_fields__[:-2]}
    windows = [_Window(*window) for window in measured.windows]
    return msgspec.json.encode(
        _Line(**numbers, windows=windows, heard=[_Heard(*row) for row in measured.heard])
    )


def decode_measured(line: bytes | str) -> Measured:
    """Read one line; :class:`RemoteFormatError` names the field that is wrong."""
    try:
        read = msgspec.structs.asdict(msgspec.json.decode(line, type=_Line))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"a line of what was measured: {error}") from error
    windows = tuple(Window(*msgspec.structs.astuple(row)) for row in read.pop("windows"))
    return Measured(
        windows=windows,
        heard=tuple(Heard(*msgspec.structs.astuple(row)) for row in read.pop("heard")),
        **read,
    )
