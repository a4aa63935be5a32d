"""Subjects of a stream that is larger than a page of the server."""

from __future__ import annotations

import pytest

from netprobe.bus.stream_subjects import count_by_subject


@pytest.mark.parametrize("count", [0, 1, 3, 4, 10])
async def test_pages_are_read_until_all_are_there(count: int) -> None:
    """A page of three; nats-server 2.15.1 answers so with pages of 100,000."""
    every = [f"presence.{number}" for number in range(count)]

    async def call(verb: str, body: dict[str, object]) -> dict[str, object]:
        assert verb == "STREAM.INFO.AGENTS"
        offset = body["offset"]
        assert isinstance(offset, int)
        page = every[offset : offset + 3]
        state: dict[str, object] = {"subjects": dict.fromkeys(page, 1)} if page else {}
        return {"state": state, "total": len(every), "offset": offset, "limit": 3}

    assert await count_by_subject(call, "AGENTS") == dict.fromkeys(every, 1)


async def test_an_agent_that_leaves_between_two_pages_ends_the_list_and_nothing_else() -> None:
    async def call(verb: str, body: dict[str, object]) -> dict[str, object]:
        del verb
        page = {"presence.1": 1} if body["offset"] == 0 else {}
        return {"state": {"subjects": page}, "total": 2}

    assert await count_by_subject(call, "AGENTS") == {"presence.1": 1}
