"""Figures that tests measure on the way: times are not asserted, but shown at the end of the run."""

from __future__ import annotations

_LINES: list[str] = []


def tell(line: str) -> None:
    """Let the end of the run say *line*."""
    _LINES.append(line)


def told() -> tuple[str, ...]:
    """What is to be said."""
    return tuple(_LINES)
