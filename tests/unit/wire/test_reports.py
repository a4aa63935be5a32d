"""Reports: round trips, and errors that name the invalid field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import RemoteFormatError
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.wire.reports import decode_columns, decode_report, encode_report, report_of, select_windows
from tests.unit.wire.messages import reports

AGENT = AgentId.parse("prod/w1/pod")
SECOND = 1_000_000_000
REPORT = Report(
    agent=AGENT,
    epoch=3,
    sequence=9,
    boot="b00t",
    start_ns=5 * SECOND,
    length_ns=SECOND,
    windows=(
        Window(
            CheckId(11), 5 * SECOND, SECOND, 3, 2, ((OutcomeKind.REACHED, 2), (OutcomeKind.TIMED_OUT, 1)),
            lost_out=1, rtt=Histogram.of([1_000, 90_000]), answered_by="dev/gw/pod",
        ),
        Window(CheckId(12), 5 * SECOND, SECOND, 1, 0, ((OutcomeKind.TIMED_OUT, 1),), lost_back=1),
    ),
    heard=(ReceivedCount(CheckId(13), 5 * SECOND, 3),),
    health=AgentHealth(AGENT, 6 * SECOND, 3),
)  # fmt: skip


def spoil(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The bytes of REPORT after *change* was made to its plain form."""
    plain = msgspec.msgpack.decode(encode_report(REPORT)[1:])
    change(plain)
    return b"\x01" + msgspec.msgpack.encode(plain)


@given(reports())
def test_what_is_encoded_reads_back(report: Report) -> None:
    assert decode_report(encode_report(report)) == report


@given(st.binary())
def test_any_bytes_read_or_are_refused(data: bytes) -> None:
    for message in (data, b"\x01" + data):
        try:
            decode_report(message)
        except RemoteFormatError as error:
            assert str(error).startswith("report: ")


@given(reports(), st.data())
def test_a_damaged_report_reads_or_is_refused(report: Report, data: st.DataObject) -> None:
    message = bytearray(encode_report(report))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] = data.draw(st.integers(0, 255))
    try:
        decode_report(bytes(message))
    except RemoteFormatError as error:
        assert str(error).startswith("report: ")


def put(column: str, row: int, value: object) -> Callable[[dict[str, Any]], object]:
    """Write *value* into a row of a column of the windows."""

    def change(plain: dict[str, Any]) -> None:
        plain["windows"][column][row] = value

    return change


MISTAKES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("negative count", put("sent", 1, -1), "windows.sent[1]: Expected"),
    ("outcomes do not add up", put("sent", 1, 2), "windows.outcome: does not add"),
    ("more answers than questions", put("answered", 0, 4), "windows.answered: "),
    ("more lost than silent", put("lost_back", 0, 1), "windows.lost_out: lost_out"),
    ("a short column", lambda r: r["windows"]["peer"].pop(), "windows.peer: has 1 rows, check has 2"),
    ("a text that is not there", put("detail", 0, 9), "windows.detail: points"),
    ("buckets out of order", lambda r: r["windows"]["rtt_bucket"].reverse(), "rtt_bucket: does"),
    ("a bucket too few", lambda r: r["windows"]["rtt_bucket"].pop(), "rtt_size: does"),
    ("too many durations", put("rtt_count", 0, 9), "windows.rtt_count: "),
    ("an empty bucket", put("rtt_count", 0, 0), "rtt_count[0]: "),
    ("an unaligned report", lambda r: r.update(start_ns=7), "start_ns: is not a multiple"),
    ("an unaligned window", lambda r: r["windows"].update(start_ns=[SECOND, 7]), "windows.start_ns: is"),
    ("a length of nothing", lambda r: r.update(length_ns=0), "length_ns: Expected"),
    ("an unknown outcome", lambda r: r["windows"]["patterns"][0][0].__setitem__(0, "eaten"), "Invalid enum"),
    ("an outcome twice", lambda r: r["windows"]["patterns"][0][1].__setitem__(0, "reached"), "outcome twice"),
    ("no agent id", lambda r: r.update(agent="prod"), "agent: 'prod' is not"),
    ("no boot", lambda r: r.update(boot=""), "boot: Expected"),
    ("half of what was heard", lambda r: r["heard"]["received"].pop(), "heard.received: has 0 rows"),
    ("a missing field", lambda r: r.pop("health"), "missing required field `health`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"), [pytest.param(change, expected, id=name) for name, change, expected in MISTAKES]
)
def test_what_breaks_the_format_is_named(change: Callable[[dict[str, Any]], object], expected: str) -> None:
    with pytest.raises(RemoteFormatError) as caught:
        decode_report(spoil(change))
    assert expected in str(caught.value)


def test_another_version_is_refused() -> None:
    with pytest.raises(RemoteFormatError, match="report: version 2 is not supported"):
        decode_report(b"\x02" + encode_report(REPORT)[1:])


def test_a_giant_is_refused_unread() -> None:
    with pytest.raises(RemoteFormatError, match="the limit is 4194304"):
        decode_report(b"\x01" * (4 * 1024 * 1024 + 1))


def test_windows_can_be_left_out() -> None:
    columns = select_windows(decode_columns(encode_report(REPORT)), [False, True])
    assert report_of(columns).windows == REPORT.windows[1:]
    assert report_of(columns).heard == REPORT.heard
