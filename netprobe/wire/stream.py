"""Protocol of ``netprobe-agent stream``: JSON lines on its standard input and output.

Input: ``plan`` and, at any time after it, ``question``. Output: ``taken`` after each plan, ``measured`` after
each interval, ``reply`` after each question. Questions and replies are the messages of the bus, so that
agents of a visit are asked as on the bus; a number matches them, because replies may come in any order.
"""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.model.window import Measured


class FollowPlan(msgspec.Struct, frozen=True, tag="plan"):
    """The plan to run from now on."""

    plan: Plan


class QuestionLine(msgspec.Struct, frozen=True, tag="question"):
    """A question to ask now."""

    number: int
    """Repeated in the reply."""
    message: bytes
    """Encoded as on the bus (``wire.messages.encode_question``)."""


InputLine = FollowPlan | QuestionLine


class PlanTaken(msgspec.Struct, frozen=True, tag="taken"):
    """The plan of *epoch* runs; its peers are answered from now on."""

    epoch: int
    capabilities: tuple[str, ...]
    version: str
    unaskable: tuple[str, ...] = ()
    """Checks that this agent cannot ask, with their reasons."""


class MeasuredLine(msgspec.Struct, frozen=True, tag="measured"):
    """Result of one interval."""

    epoch: int
    measured: Measured


class ReplyLine(msgspec.Struct, frozen=True, tag="reply"):
    """The reply to a question."""

    number: int
    """Of the question."""
    message: bytes
    """Encoded as on the bus (``wire.messages.encode_reply``)."""


OutputLine = PlanTaken | MeasuredLine | ReplyLine


def encode_output_line(line_out: OutputLine) -> bytes:
    """One line, without newline."""
    return msgspec.json.encode(line_out)


def decode_output_line(line: bytes) -> OutputLine:
    """Read one line; :class:`RemoteFormatError` names the invalid field."""
    try:
        line_out: OutputLine = msgspec.json.decode(line, type=OutputLine)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"agent's output line: {error}") from error
    return line_out


def encode_input_line(line_in: InputLine) -> bytes:
    """One line, without newline."""
    return msgspec.json.encode(line_in)


def decode_input_line(line: bytes) -> InputLine:
    """Read one line; :class:`RemoteFormatError` names the invalid field."""
    try:
        line_in: InputLine = msgspec.json.decode(line, type=InputLine)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"agent's input line: {error}") from error
    return line_in
