"""What every test stands on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How busy the machine is says nothing about a law: no deadlines. Where a change is judged (CI), every run
# asks the same examples, so that one tree is never green once and red once. Other runs ask fewer, and new
# ones each time, so that all of them together ask far more.
_CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", _CALM, derandomize=True, database=None)
settings.register_profile("dev", _CALM, max_examples=30)
settings.load_profile("ci" if "CI" in os.environ else "dev")

# What a shell starts in the background ignores SIGINT, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _main_loop() -> Iterator[None]:
    """An event loop of the main thread, closed in the end.

    pytest-asyncio asks for the current loop in order to put it back after each test; where there is none,
    Python 3.11 makes one that is never closed, and an unclosed loop is a warning, which is an error.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)
