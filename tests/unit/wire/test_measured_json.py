"""JSON lines of measured intervals: fields by name, read back unchanged."""

from __future__ import annotations

import msgspec
import pytest

from netprobe.errors import RemoteFormatError
from netprobe.model.names import CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.model.window import Histogram, Measured, ReceivedCount, Window
from netprobe.wire.measured_json import decode_measured, encode_measured

MEASURED = Measured(
    start_ns=20,
    length_ns=10,
    windows=(
        Window(
            CheckId(7), 20, 10, 3, 2, ((OutcomeKind.REACHED, 2), (OutcomeKind.TIMED_OUT, 1)), 1, 0,
            Histogram((5, 9), (1, 1)), "10.0.0.1", "dev/w1/pod", Prose("no answer within 800 ms"),
        ),
    ),
    heard=(ReceivedCount(CheckId(8), 10, 4),),
    loop_lag_ns=5,
    packets_dropped=2,
)  # fmt: skip


def test_a_line_comes_back_as_it_was() -> None:
    assert decode_measured(encode_measured(MEASURED)) == MEASURED


def test_every_field_stands_by_its_name() -> None:
    line = msgspec.json.decode(encode_measured(MEASURED))
    assert list(line) == ["start_ns", "length_ns", "windows", "heard", "loop_lag_ns", "packets_dropped"]
    assert line["windows"][0]["outcomes"] == [["reached", 2], ["timed-out", 1]]
    assert line["windows"][0]["rtt"] == {"buckets": [5, 9], "counts": [1, 1]}
    assert line["heard"] == [{"check": 8, "start_ns": 10, "received": 4}]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param(b"{", "truncated", id="cut off"),
        pytest.param(b"[]", "object", id="no object"),
        pytest.param(b"\xff", "measured", id="not text"),
        pytest.param(encode_measured(MEASURED).replace(b'"received"', b'"got"'), "received", id="a name"),
        pytest.param(encode_measured(MEASURED).replace(b'"sent":3', b'"sent":"3"'), "windows", id="a type"),
        pytest.param(encode_measured(MEASURED).replace(b'"heard"', b'"told"'), "heard", id="no heard"),
    ],
)
def test_a_broken_line_is_refused_with_what_is_wrong(line: bytes, named: str) -> None:
    with pytest.raises(RemoteFormatError, match=named):
        decode_measured(line)
