"""The keys that authenticate requests and responses."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Keyring:
    """The fleet's key, and the previous one while a new plan spreads."""

    key: bytes = b""
    previous: bytes = b""
    accepted: tuple[bytes, ...] = field(init=False)
    """Keys that authenticate a packet; without a plan there is none, and no packet is accepted."""

    def __post_init__(self) -> None:
        self.accepted = tuple(key for key in (self.key, self.previous) if key)

    def use(self, key: bytes) -> None:
        """Seal with *key* from now on; still accept the previous one."""
        if key != self.key:
            self.previous, self.key = self.key, key
            self.__post_init__()
