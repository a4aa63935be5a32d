"""What a host's compiled libraries must be built for: Python version and machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Platform:
    """What compiled libraries are made for."""

    python: tuple[int, int]
    machine: str
    """As ``uname -m`` says it."""

    def __str__(self) -> str:
        return f"Python {self.python[0]}.{self.python[1]} on {self.machine}"
