"""Every subject of a stream, page by page: a server lists 100,000 at once (nats-server 2.15.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from netprobe.errors import RemoteFormatError

Call = Callable[[str, dict[str, object]], Awaitable[dict[str, object]]]
"""Asks the JetStream API: a verb and its arguments."""


async def count_by_subject(call: Call, stream: str) -> dict[str, int]:
    """The subjects that *stream* has messages of, and how many of each."""
    found: dict[str, int] = {}
    offset = 0
    while True:
        told = await call(f"STREAM.INFO.{stream}", {"subjects_filter": ">", "offset": offset})
        state = told.get("state")
        page = state.get("subjects") if isinstance(state, dict) else None
        if not isinstance(page, dict) or not page:  # the server leaves an empty one out
            return found
        found |= page
        offset += len(page)
        total = told.get("total", offset)
        if not isinstance(total, int):
            raise RemoteFormatError(f"stream {stream}: total is {total!r}")
        if offset >= total:
            return found
