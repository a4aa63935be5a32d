"""``python -m tests.unit.suite.collection FOLDER EXPRESSION …``: what pytest runs for each ``-m``, as JSON.

In a process of its own because that imports every module of *FOLDER*, once for all expressions.
"""

from __future__ import annotations

import json
import sys

import pytest


class _Collected:
    def __init__(self) -> None:
        self.tests: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tests = [item.nodeid for item in session.items]


def collect(folder: str, expression: str) -> list[str]:
    """The identifiers of the tests in *folder* that *expression* chooses."""
    found = _Collected()
    code = pytest.main(["-qq", "--collect-only", folder, "-m", expression], plugins=[found])
    assert code == 0, f"{folder} -m {expression!r}: pytest ended with {code}"
    return found.tests


if __name__ == "__main__":
    told = [collect(sys.argv[1], expression) for expression in sys.argv[2:]]
    print(f"\n{json.dumps(told)}")
