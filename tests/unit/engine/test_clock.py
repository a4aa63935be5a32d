"""When a packet came: the kernel's stamp, as far as it can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from netprobe.engine.clock import Clock

MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing(Clock):
    """Both clocks stand: monotonic at 1000 ms, wall time at 5000 ms."""

    def mono_ns(self) -> int:
        return 1_000 * MS

    def wall_ns(self) -> int:
        return 5_000 * MS


@pytest.mark.parametrize(
    ("stamp_ms", "arrived_ms"),
    [
        pytest.param(4_970, 970, id="it waited in its socket for 30 ms"),
        pytest.param(5_000, 1_000, id="it came this moment"),
        pytest.param(4_000, 900, id="the wall clock was set forward: not before the socket was empty"),
        pytest.param(9_000, 1_000, id="the wall clock was set back: not in the future"),
        pytest.param(None, 1_000, id="the kernel gave no stamp"),
    ],
)
def test_a_packet_came_between_the_last_look_and_now(stamp_ms: int | None, arrived_ms: int) -> None:
    stamp_ns = None if stamp_ms is None else stamp_ms * MS
    assert Standing().arrival_ns(stamp_ns, since_ns=900 * MS) == arrived_ms * MS


@dataclass(frozen=True, slots=True)
class Interrupted(Clock):
    """Clocks of a process that loses its processor after one of its readings; wall time leads by 4 s."""

    after_reading: int
    now_ns: list[int] = field(default_factory=lambda: [1_000 * MS])
    readings: list[int] = field(default_factory=list)

    def mono_ns(self) -> int:
        return self._read()

    def wall_ns(self) -> int:
        return self._read() + 4_000 * MS

    def _read(self) -> int:
        self.now_ns[0] += 100
        read_ns = self.now_ns[0]
        self.readings.append(read_ns)
        if len(self.readings) == self.after_reading:
            self.now_ns[0] += 40 * MS
        return read_ns


@pytest.mark.parametrize("after_reading", range(1, 8))
def test_losing_the_processor_between_two_readings_moves_no_packet(after_reading: int) -> None:
    came_ns = 990 * MS
    told_ns = Interrupted(after_reading).arrival_ns(came_ns + 4_000 * MS, since_ns=0)
    assert told_ns == pytest.approx(came_ns, abs=1_000)
