"""The keys that seal requests and prove answers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Keyring:
    """The fleet's key, and the one before it while a new plan spreads."""

    key: bytes = b""
    previous: bytes = b""
    believed: tuple[bytes, ...] = field(init=False)
    """Every key that proves a packet; without a plan there is none, and nobody is believed."""

    def __post_init__(self) -> None:
        self.believed = tuple(key for key in (self.key, self.previous) if key)

    def use(self, key: bytes) -> None:
        """From now on seal with *key*; go on believing the one before."""
        if key != self.key:
            self.previous, self.key = self.key, key
            self.__post_init__()
