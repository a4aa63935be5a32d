"""The kinds of claims, as data: how long each claimant may take until what it says can be held against it.

A row is added by adding a row; a test asks for one per `ClaimKind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netprobe.model.fabric import ClaimKind
from netprobe.model.units import SECOND_NS

CLOCK_ALLOWANCE_NS = 15 * SECOND_NS
"""How far a claimant's clock may be from ours, with its last words on their way: later it is silent."""


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One kind of claim."""

    claimant: str
    """Who says it, as the subject of a sentence."""
    lag_ns: int
    """How long after a change the claim may still be the old one, by the claimant's own rules."""


CLAIMS: Mapping[ClaimKind, ClaimRow] = {
    # One ping per second, an error after six unanswered ones (submariner pkg/pinger); the object is written
    # every 5 s (pkg/cableengine/syncer).
    ClaimKind.SUBMARINER_CONNECTION: ClaimRow("Submariner's gateway", 15 * SECOND_NS),
    # One ping per minute, the same six, written every 60 s (pkg/routeagent_driver/main.go).
    ClaimKind.SUBMARINER_ROUTE_AGENT: ClaimRow("Submariner's route agent", 480 * SECOND_NS),
    # A ping every 2 s inside the tunnel, down after five lost ones, written at most 10 s later (liqo
    # pkg/gateway/connection); the ForeignCluster repeats it.
    ClaimKind.LIQO_CONNECTION: ClaimRow("Liqo's gateway", 25 * SECOND_NS),
    ClaimKind.LIQO_FOREIGN_CLUSTER: ClaimRow("Liqo", 60 * SECOND_NS),
    # Nothing that packets of ours cross, so these are read and not held against packets.
    ClaimKind.SKUPPER_LINK: ClaimRow("Skupper's router", 60 * SECOND_NS),
    ClaimKind.CONSUL_PEERING: ClaimRow("Consul", 60 * SECOND_NS),
    ClaimKind.MCS_EXPORT: ClaimRow("the exporting controller", 60 * SECOND_NS),
}
