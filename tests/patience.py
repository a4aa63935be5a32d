"""Waiting for what other processes do. Patience is long because a busy machine is slow.

Rule: a wait that ends without what was waited for fails the test, and says what never happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 240.0
Answer = TypeVar("Answer")


def wait_until(
    what: str, holds: Callable[[], Answer], *, seconds: float = PATIENCE_S, every_s: float = 0.1
) -> Answer:
    """Ask *holds* again and again until its answer is true, and return that answer."""
    ends = time.monotonic() + seconds
    while True:
        if answer := holds():
            return answer
        if time.monotonic() > ends:
            raise AssertionError(f"never: {what}")
        time.sleep(every_s)
