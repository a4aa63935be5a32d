"""The asker: interface for passing questions to agents, over the bus, over streams or over SSH.

Rule: a question that cannot be asked gets the reply :class:`Declined`; the other questions are not affected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from netprobe.model.check import Check
from netprobe.model.names import AgentId
from netprobe.wire.messages import Reply


class Asker(Protocol):
    """Passes questions to agents."""

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        """One reply per check, in order. Several agents may be asked at once."""
