"""Every subject of a stream, page by page: a server lists 100,000 at once (nats-server 2.15.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from netprobe.errors import RemoteFormatError

Call = Callable[[str, dict[str, object]], Awaitable[dict[str, object]]]
"""Asks the JetStream API: a verb and its arguments."""


async def list_subjects(call: Call, stream: str) -> set[str]:
    """The subjects that *stream* has messages of."""
    found: set[str] = set()
    offset = 0
    while True:
        told = await call(f"STREAM.INFO.{stream}", {"subjects_filter": ">", "offset": offset})
        state = told.get("state")
        page = state.get("subjects") if isinstance(state, dict) else None
        if not isinstance(page, dict) or not page:  # the server leaves an empty one out
            return found
        found |= page.keys()
        offset += len(page)
        total = told.get("total", offset)
        if not isinstance(total, int):
            raise RemoteFormatError(f"stream {stream}: total is {total!r}")
        if offset >= total:
            return found
