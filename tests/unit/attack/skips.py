"""Which attacks cannot run on this machine."""

from __future__ import annotations

import pytest

from benchmarks.chaos.namespaces import find_refusal
from tests.attack.experiments import IN_NAMESPACES


def skip_where_refused(*kinds: str) -> None:
    """Skip the test where one of *kinds* needs namespaces and there are none."""
    if IN_NAMESPACES.intersection(kinds) and (refusal := find_refusal()):
        pytest.skip(f"namespaces are refused here: {refusal}")
