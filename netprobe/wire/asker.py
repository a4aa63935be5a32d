"""Whoever can let an agent ask: the bus is one way, and a command run beside the agent may be another.

Rule: a question that cannot be asked is answered with :class:`Declined`, so that it costs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from netprobe.model.check import Check
from netprobe.model.names import AgentId
from netprobe.wire.messages import Reply


class Asker(Protocol):
    """Lets agents ask."""

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        """One reply per check, in order. Several agents may be asked at once."""
