"""The tests of the suite keep no rows of their own in the table of the run that they are part of."""

from __future__ import annotations

import os

import pytest

from tests.suite import timings


@pytest.fixture(autouse=True)
def no_table_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what tells the suite to keep its rows."""
    for name in os.environ.keys() - timings.without_kept(os.environ).keys():
        monkeypatch.delenv(name)
