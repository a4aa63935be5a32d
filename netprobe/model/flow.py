"""What became of a flow that was quiet for a while."""

from __future__ import annotations

from enum import StrEnum


class FlowState(StrEnum):
    """Stable identifiers: they travel between builds, so a value is never renamed or given a new meaning."""

    PENDING = "pending"
    """Not yet known, or never waited for."""
    ALIVE = "alive"
    """It answered after its quiet gap."""
    SILENT = "silent"
    """Its next packet met silence."""
    RESET = "reset"
    """Something on the way, or the far end, reset it."""
    CLOSED = "closed"
    """The far end closed it."""

    @property
    def is_forgotten(self) -> bool:
        """Whether something on the way has lost the flow; a far end that closes it has not."""
        return self in {FlowState.SILENT, FlowState.RESET}
