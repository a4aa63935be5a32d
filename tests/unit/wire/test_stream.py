"""JSON lines between ``netprobe verify`` and the agents of a visit."""

from __future__ import annotations

import pytest

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.model.window import Measured
from netprobe.wire.stream import (
    FollowPlan,
    InputLine,
    MeasuredLine,
    OutputLine,
    PlanTaken,
    QuestionLine,
    ReplyLine,
    decode_input_line,
    decode_output_line,
    encode_input_line,
    encode_output_line,
)

PLAN = Plan(AgentId.parse("east/n1/pod"), 3, (), 1_000_000_000, b"k" * 16)
EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(
    "said",
    [
        PlanTaken(3, ("icmp-raw", "dns"), "0.1.0", ("check 7: no",)),
        MeasuredLine(3, Measured(0, 10, (), ())),
        ReplyLine(7, EVERY_BYTE),
    ],
)
def test_what_was_said_is_read_back(said: OutputLine) -> None:
    assert decode_output_line(encode_output_line(said)) == said


@pytest.mark.parametrize("heard", [FollowPlan(PLAN), QuestionLine(7, EVERY_BYTE)])
def test_what_is_heard_is_one_line_and_read_back(heard: InputLine) -> None:
    line = encode_input_line(heard)
    assert b"\n" not in line
    assert decode_input_line(line) == heard


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b'{"type":"other"}', b"\xff", b'{"type":"taken","epoch":"x"}', b'{"type":"plan"}',
        b'{"type":"reply","number":1,"message":"?"}', b'{"type":"question","number":1,"message":"?"}',
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_one_error(line: bytes) -> None:
    with pytest.raises(RemoteFormatError):
        decode_output_line(line)
    with pytest.raises(RemoteFormatError):
        decode_input_line(line)
