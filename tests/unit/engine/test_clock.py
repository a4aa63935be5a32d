"""When a packet came: the kernel's stamp, as far as it can be believed."""

from __future__ import annotations

from dataclasses import dataclass

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
