"""What one experiment counts, and the figures of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class ChaosTally:
    """Counts of one experiment."""

    sent: int = 0
    stored: int = 0
    destroyed: int = 0
    unexplained: int = 0
    """Reports that are missing although nothing that held them was spoilt."""
    destroyed_unsaid: int = 0
    green_while_unmeasured: int = 0
    restarts_by_hand: int = 0
    kills: int = 0
    unseen_s: list[float] = field(default_factory=list)
    """Of each fault; infinite where nothing ever said it."""


def summarise(tallies: Mapping[str, ChaosTally], *, interval_s: float) -> dict[str, object]:
    """The figures of all experiments, and the sums by experiment."""
    each = tallies.values()
    unseen = [seconds for one in each for seconds in one.unseen_s]
    return {
        "reports_sent": sum(one.sent for one in each),
        "reports_stored": sum(one.stored for one in each),
        "reports_destroyed": sum(one.destroyed for one in each),
        "reports_unexplained": sum(one.unexplained for one in each),
        "destroyed_unsaid": sum(one.destroyed_unsaid for one in each),
        "green_while_unmeasured": sum(one.green_while_unmeasured for one in each),
        "restarts_by_hand": sum(one.restarts_by_hand for one in each),
        "kills": sum(one.kills for one in each),
        "seconds_unseen": round(max(unseen, default=0.0), 2),
        "intervals_unseen": round(max(unseen, default=0.0) / interval_s, 2),
        "experiments": {
            name: {
                "sent": one.sent, "stored": one.stored, "destroyed": one.destroyed,
                "seconds_unseen": [round(seconds, 2) for seconds in one.unseen_s],
            }
            for name, one in tallies.items()
        },
    }  # fmt: skip
