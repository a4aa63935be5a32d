"""The asker's side of the bus: snapshots and on-demand checks, one short connection per question."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Access:
    """Where the bus is and who asks."""

    url: str
    """``nats://host:port``."""
    seed: str = field(repr=False)
    """The asker's secret seed (``SU…``); kept out of every representation."""
