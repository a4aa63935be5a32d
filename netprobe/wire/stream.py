"""What ``netprobe-agent stream`` says on its standard output, one JSON line each; plans go in the same way.

Standard input: :class:`~netprobe.model.check.Plan` as JSON, one line each. Output: ``taken`` after each plan,
``measured`` after each interval.
"""

from __future__ import annotations

import msgspec

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.model.window import Measured


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """The plan of *epoch* is followed; peers that it names are answered from now on."""

    epoch: int
    capabilities: tuple[str, ...]
    version: str
    unaskable: tuple[str, ...] = ()
    """Checks that cannot be asked here, and why."""


class Told(msgspec.Struct, frozen=True, tag="measured"):
    """What was measured in one interval."""

    epoch: int
    measured: Measured


Said = Taken | Told


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


def encode_plan_line(plan: Plan) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(plan)


def decode_plan_line(line: bytes) -> Plan:
    """Read one line; :class:`RemoteFormatError` names the field that is wrong."""
    try:
        return msgspec.json.decode(line, type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteFormatError(f"a plan: {error}") from error
