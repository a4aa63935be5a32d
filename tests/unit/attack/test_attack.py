"""Our own bus, attacked: nothing falls, and each kind tries as much as it should."""

from __future__ import annotations

import pytest

from tests.attack.experiments import EXPERIMENTS
from tests.unit.attack.skips import skip_where_refused
from tests.unit.nats_server import needs_nats_server

LEAST_TRIES = {"replies of an agent with a key": 90, "replies of an operator": 150, "subjects of others": 90}


@pytest.mark.slow
@needs_nats_server
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", EXPERIMENTS)
async def test_nothing_falls(kind: str) -> None:
    skip_where_refused(kind)
    tally = await EXPERIMENTS[kind]()
    assert tally.fell == []
    assert tally.tried >= LEAST_TRIES.get(kind, 3)
