"""Moments as people write them."""

from __future__ import annotations

import datetime as dt

import pytest

from netprobe.cli.options.times import read_moment
from netprobe.errors import InputError

SECOND = 1_000_000_000
NOON = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
NOW_NS = int(NOON.timestamp()) * SECOND


def of(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """A local time."""
    return int(dt.datetime(year, month, day, hour, minute).astimezone().timestamp()) * SECOND


@pytest.mark.parametrize(("text", "ago_s"), [("90s", 90), ("15m", 900), ("1.5h", 5400), ("2d", 172_800)])
def test_how_long_ago(text: str, ago_s: int) -> None:
    assert read_moment(text, now_ns=NOW_NS) == NOW_NS - ago_s * SECOND


def test_a_time_of_day_is_the_last_such() -> None:
    now = dt.datetime.fromtimestamp(NOW_NS // SECOND).astimezone()
    earlier, later = now - dt.timedelta(minutes=1), now + dt.timedelta(minutes=1)
    assert read_moment(f"{earlier:%H:%M}", now_ns=NOW_NS) == NOW_NS - 60 * SECOND
    assert read_moment(f"{later:%H:%M:%S}", now_ns=NOW_NS) == NOW_NS + (60 - 86_400) * SECOND


def test_a_full_time_has_its_zone_or_the_local_one() -> None:
    assert read_moment("2026-11-25T11:00Z", now_ns=NOW_NS) == NOW_NS - 3600 * SECOND
    assert read_moment("2026-11-25T13:00+02:00", now_ns=NOW_NS) == NOW_NS - 3600 * SECOND
    assert read_moment("2026-11-24T03:00", now_ns=NOW_NS) == of(2026, 11, 24, 3)
    assert read_moment("2026-11-24", now_ns=NOW_NS) == of(2026, 11, 24)


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "-5m", "5 m", "2026-13-01", "99999999999d"])
def test_what_is_no_moment_is_one_clear_error(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_moment(text, now_ns=NOW_NS)
    assert str(caught.value) == f"--at: {text!r} is not a time such as 15m (ago), 03:00 or 2026-11-25T03:00Z"
