"""One agent lies about what it measured, all others are honest: no other part is blamed with confidence."""

from __future__ import annotations

from tests.attack.tally import AttackTally
from tests.scenarios.liar import LIES
from tests.scenarios.test_liars import WORKER, find_worst, is_harmless

TOLD = (
    "another answered one check",
    "another answers from other clusters",
    "one check arrives translated",
    "all to other clusters lost",
)
"""Lies that once named an innocent part with up to 0.95; all of them: ``tests.scenarios.test_liars``."""


async def attack_with_lies() -> AttackTally:
    """Each lie for half a minute."""
    tally = AttackTally()
    for lie in TOLD:
        found = find_worst(WORKER, LIES[lie], seed=1)
        tally.note(f"{lie}: it is noticed", held=bool(found))
        for finding in found.values():
            tally.note(f"{lie}: {finding.id}", held=is_harmless(finding, WORKER))
    return tally
