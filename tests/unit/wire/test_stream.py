"""Lines between ``netprobe verify`` and the agents of a visit."""

from __future__ import annotations

import pytest

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.window import Measured
from netprobe.wire.stream import (
    Taken,
    Told,
    decode_plan_line,
    decode_said,
    encode_plan_line,
    encode_said,
)

PLAN = Plan(AgentId.parse("east/n1/pod"), 3, (), 1_000_000_000, b"k" * 16)


@pytest.mark.parametrize(
    "said", [Taken(3, ("icmp-raw", "dns"), "0.1.0", ("check 7: no",)), Told(3, Measured(0, 10, (), ()))]
)
def test_what_was_said_is_read_back(said: Taken | Told) -> None:
    assert decode_said(encode_said(said)) == said


def test_a_plan_is_one_line_and_read_back() -> None:
    line = encode_plan_line(PLAN)
    assert b"\n" not in line
    assert decode_plan_line(line) == PLAN


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"type":"other"}', b'{"type":"taken","epoch":"x"}', b"\xff"]
)
def test_a_line_that_is_none_is_one_error(line: bytes) -> None:
    with pytest.raises(RemoteFormatError):
        decode_said(line)
    with pytest.raises(RemoteFormatError):
        decode_plan_line(line)
