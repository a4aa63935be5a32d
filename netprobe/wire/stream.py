"""What ``netprobe-agent stream`` hears on its standard input and says on its output, one JSON line each.

Input: ``plan`` and, at any time after it, ``question``. Output: ``taken`` after each plan, ``measured`` after
each interval, ``reply`` after each question. A question and its reply are the bus's own messages, so that an
agent of a visit is asked exactly what one on the bus is; a number joins them, because replies come when they
are ready.
"""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.model.window import Measured


class FollowPlan(msgspec.Struct, frozen=True, tag="plan"):
    """The plan to follow from now on."""

    plan: Plan


class QuestionLine(msgspec.Struct, frozen=True, tag="question"):
    """A question to ask now."""

    number: int
    """Comes back with the reply."""
    message: bytes
    """As on the bus (``wire.messages.encode_question``)."""


Heard = FollowPlan | QuestionLine


class PlanTaken(msgspec.Struct, frozen=True, tag="taken"):
    """The plan of *epoch* is followed; peers that it names are answered from now on."""

    epoch: int
    capabilities: tuple[str, ...]
    version: str
    unaskable: tuple[str, ...] = ()
    """Checks that cannot be asked here, and why."""


class MeasuredLine(msgspec.Struct, frozen=True, tag="measured"):
    """What was measured in one interval."""

    epoch: int
    measured: Measured


class ReplyLine(msgspec.Struct, frozen=True, tag="reply"):
    """What came of a question."""

    number: int
    """Of the question."""
    message: bytes
    """As on the bus (``wire.messages.encode_reply``)."""


Said = PlanTaken | MeasuredLine | ReplyLine


def encode_said(said: Said) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(said)


def decode_said(line: bytes) -> Said:
    """Read one line; :class:`RemoteFormatError` names the field that is wrong."""
    try:
        said: Said = msgspec.json.decode(line, type=Said)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"an agent's line: {error}") from error
    return said


def encode_heard(heard: Heard) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(heard)


def decode_heard(line: bytes) -> Heard:
    """Read one line; :class:`RemoteFormatError` names the field that is wrong."""
    try:
        heard: Heard = msgspec.json.decode(line, type=Heard)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"a plan or a question: {error}") from error
    return heard
