"""Moments as people write them: ``15m`` ago, ``03:00``, ``2026-11-25T03:00Z``."""

from __future__ import annotations

import datetime as dt
import re

from netprobe.errors import InputError
from netprobe.model.units import SECOND_NS

_AGO = re.compile(r"(?P<count>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")


def read_moment(text: str, *, now_ns: int) -> int:
    """Wall time in nanoseconds; without a zone it is the local one, and a time of day is the last such.

    >>> read_moment("90s", now_ns=100 * SECOND_NS) // SECOND_NS
    10
    >>> read_moment("1970-01-01T00:00:05Z", now_ns=0)
    5000000000
    """
    try:
        moment_ns = _read(text, now_ns)
    except (ValueError, OverflowError):
        moment_ns = -1
    if moment_ns < 0:
        told = f"{text!r} is not a time such as 15m (ago), 03:00 or 2026-11-25T03:00Z"
        raise InputError(told, where="--at")
    return moment_ns


def _read(text: str, now_ns: int) -> int:
    if ago := _AGO.fullmatch(text):
        return now_ns - round(float(ago["count"]) * _UNIT_S[ago["unit"]] * SECOND_NS)
    if not _CLOCK.fullmatch(text):
        return _to_ns(dt.datetime.fromisoformat(text))
    now = dt.datetime.fromtimestamp(now_ns / SECOND_NS).astimezone()
    then = dt.datetime.combine(now.date(), dt.time.fromisoformat(text.zfill(5)))
    return _to_ns(then if then.astimezone() <= now else then - dt.timedelta(days=1))


def _to_ns(then: dt.datetime) -> int:
    """A time without a zone is taken for the local one."""
    return int(then.astimezone().timestamp()) * SECOND_NS
