"""What a stream probe needs from its surroundings: a small port that the engine implements.

Rule: a failed dial is an answer like any other. Nothing here raises an exception for what the network does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from netprobe.model.check import Check
from netprobe.probes.observation import Observation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer ended the conversation; *reset* where it did so with RST."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class Resolvers:
    """The settings of this host's resolver."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1

    def candidates(self, name: str) -> Iterator[str]:
        """The names to ask for, in order.

        >>> list(Resolvers(search=("a.svc", "svc"), ndots=5).candidates("db"))
        ['db.a.svc', 'db.svc', 'db']
        """
        bare = name.rstrip(".")
        longer = [] if name.endswith(".") else [f"{bare}.{suffix}" for suffix in self.search]
        yield from (bare, *longer) if bare.count(".") >= self.ndots else (*longer, bare)


class Stream(Protocol):
    """A TCP connection."""

    async def send(self, data: bytes) -> Closed | Observation | None:
        """Send everything; anything but None is why it could not be sent."""

    async def receive(self) -> bytes | Closed | Observation:
        """The next bytes; ``Closed`` at the end; ``Observation`` on a time-out."""

    async def wait_acknowledged(self) -> Closed | Observation | None:
        """Wait until the peer has acknowledged all that was sent; anything but None is why it has not."""

    def close(self) -> None:
        """Close; never fails."""


class Net(Protocol):
    """Sockets and a clock for one probe; everything ends at the probe's deadline."""

    def now_ns(self) -> int:
        """Monotonic time."""

    def wall_ns(self) -> int:
        """Unix time, to compare with dates."""

    def resolvers(self) -> Resolvers:
        """How this host resolves names."""

    async def connect(self, check: Check, *, port: int) -> Stream | Observation:
        """Open a TCP connection to the check's target."""

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        """Send one datagram and wait for the first one back that *accept* does not turn away."""
