"""Which unit tests start servers, browsers or other programs: `make unit-fast` leaves them out."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
STARTERS = frozenset({"subprocess", "needs_nats_server", "webdriver", "serve"})
"""A module that knows one of these names starts something."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        module = getattr(item, "module", None)
        if HERE in item.path.parents and STARTERS & vars(module).keys():
            item.add_marker(pytest.mark.programs)
