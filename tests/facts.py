"""Facts of a probe as plain strings: tests may compare what people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netprobe.probes.observation import Facts


def texts(facts: Facts) -> dict[str, str]:
    """Every fact's text, by its name."""
    return {name: str(text) for name, text in facts}


def pairs(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Names and texts in their order."""
    return tuple((name, str(text)) for name, text in facts)
