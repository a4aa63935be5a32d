"""Functions that drive a machine of packets are loaded when their kind is first asked."""

from __future__ import annotations

import inspect

import pytest

from netprobe.engine.drivers.registry import DRIVERS, find_driver


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_each_driver_is_a_coroutine_function(kind: str) -> None:
    assert inspect.iscoroutinefunction(find_driver(kind))
