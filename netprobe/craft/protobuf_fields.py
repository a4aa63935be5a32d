"""Fields of a protobuf message on the wire (protobuf.dev, "Encoding"): numbers and what has a length.

The messages that are asked here have a handful of fields, so no protobuf library and no generated code are
needed; the library is the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from netprobe.errors import RemoteFormatError

Fields: TypeAlias = dict[int, int | bytes]
"""By field number; the last of several counts, as the encoding says. Fixed-width fields are left out."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10


def write_fields(fields: Mapping[int, int | bytes | str]) -> bytes:
    """A message of these fields, in order; numbers are not negative."""
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += _write_varint(number << 3 | _VARINT) + _write_varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _write_varint(number << 3 | _LENGTH) + _write_varint(len(data)) + data
    return bytes(out)


def read_fields(message: bytes) -> Fields:
    """The fields of a message; :class:`RemoteFormatError` for what is none."""
    fields: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise RemoteFormatError("field 0 is not of protobuf")
        match wire_type:
            case 0:
                fields[number], at = _read_varint(message, at)
            case 2:
                size, at = _read_varint(message, at)
                fields[number] = message[at : at + size]
                at += size
            case 1 | 5:
                at += 8 if wire_type == _FIXED64 else 4
            case _:
                raise RemoteFormatError(f"wire type {wire_type} is not of protobuf")
        if at > len(message):
            raise RemoteFormatError("the message ends within a field")
    return fields


def read_text(fields: Fields, number: int) -> str:
    """A field of text; empty where it is missing or a number."""
    value = fields.get(number, b"")
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def read_number(fields: Fields, number: int) -> int:
    """A field of a number or a truth; 0 where it is missing, as proto3 leaves zeros out."""
    value = fields.get(number, 0)
    return value if isinstance(value, int) else 0


def read_message(fields: Fields, number: int) -> Fields | None:
    """A message within; None where it is missing."""
    value = fields.get(number)
    return read_fields(value) if isinstance(value, bytes) else None


def _write_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MOST_VARINT_BYTES):
        if at + place >= len(message):
            raise RemoteFormatError("the message ends within a number")
        octet = message[at + place]
        value |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            return value, at + place + 1
    raise RemoteFormatError("a number is longer than ten bytes")
