"""Discounts a lost probe because this agent stalled or dropped packets. Pure."""

from __future__ import annotations

from netprobe.engine.inflight import PendingProbe
from netprobe.engine.stall_tracker import StallTracker, not_measured
from netprobe.model.outcome import NotMeasured
from netprobe.model.prose import Prose
from netprobe.probes import registry
from netprobe.probes.kind import EchoDriver


class LossValidity:
    """Judges the losses of one interval when it closes."""

    def __init__(self, stalls: StallTracker, *, now_ns: int, dropped: int = 0) -> None:
        self._stalls = stalls
        self._now_ns = now_ns
        self._dropped = dropped
        """Responses that this agent's full buffers dropped in this interval."""

    def __call__(self, probe: PendingProbe) -> NotMeasured | None:
        """Why the loss of *probe* says nothing about the network, or None."""
        stalled_ns = self._stalls.total_ns(since_ns=probe.sent_ns, until_ns=probe.deadline_ns)
        if stalled_ns > probe.check.probe.timeout_ns // 2:
            return not_measured(stalled_ns)
        if probe.deadline_ns > self._now_ns:
            return NotMeasured(Prose("sent too late in its interval"))
        if self._dropped and _shares_sockets(probe):
            return NotMeasured(Prose(f"our full buffers lost {self._dropped} packets"))
        return None


def _shares_sockets(probe: PendingProbe) -> bool:
    """Whether its answer came, or would have come, through a socket that many checks share."""
    kind = registry.find_kind(probe.check.probe.kind)
    return kind is not None and isinstance(kind.driver, EchoDriver)
