"""Envelope of bus messages: a version byte, then MessagePack, optionally deflated.

Rule: for any input, a decoder returns a value or raises :class:`RemoteFormatError` naming the field; it
trusts no size in the data and inflates no more than the limit of the kind of message.
"""

from __future__ import annotations

import zlib
from typing import Generic, TypeVar

import msgspec

from netprobe.errors import RemoteFormatError

T = TypeVar("T")

VERSION = 1
_HEAD = bytes([VERSION])


class Codec(Generic[T]):
    """Encodes and decodes one kind of message. *limit* is its largest size in bytes, inflated."""

    def __init__(self, kind: type[T], *, name: str, limit: int, deflated: bool = False) -> None:
        self.name = name
        self.limit = limit
        self._deflated = deflated
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(kind)

    def encode(self, value: T) -> bytes:
        """The message's bytes."""
        body = self._encoder.encode(value)
        return _HEAD + (zlib.compress(body) if self._deflated else body)

    def decode(self, data: bytes) -> T:
        """Read a message; :class:`RemoteFormatError` names the problem and the field."""
        if len(data) > self.limit:
            raise self.error(f"is {len(data)} bytes; the limit is {self.limit}")
        if data[:1] != _HEAD:
            raise self.error(f"version {data[0]} is not supported" if data else "is empty")
        body = self._inflate(data[1:]) if self._deflated else memoryview(data)[1:]
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            what, _, path = str(error).partition(" - at `$")
            raise self.error(what, field=path.rstrip("`").lstrip(".")) from error

    def error(self, what: str, *, field: str = "") -> RemoteFormatError:
        """An error about one field of this kind of message."""
        return RemoteFormatError(f"{self.name}: {field}: {what}" if field else f"{self.name}: {what}")

    def _inflate(self, data: bytes) -> bytes:
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(data, self.limit)
        except zlib.error as error:
            raise self.error("is not deflated data") from error
        if inflater.unconsumed_tail:
            raise self.error(f"inflates to more than {self.limit} bytes")
        if not inflater.eof or inflater.unused_data:
            raise self.error("is truncated or followed by other data")
        return body
