"""Findings: the smallest set of components that explains what failed, its cause and the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.component import Component
from netprobe.model.names import CheckId
from netprobe.model.prose import NO_PROSE, Prose
from netprobe.model.traffic import TrafficCondition


class Cause(StrEnum):
    """What went wrong."""

    TUNNEL_DOWN = "tunnel-down"
    TUNNEL_MTU = "tunnel-mtu"
    TUNNEL_LOSSY = "tunnel-lossy"
    TUNNEL_SLOW = "tunnel-slow"
    RETURN_PATH_DROPPED = "return-path-dropped"
    OVERLAY_BLOCKED = "overlay-blocked"
    ROUTE_MISSING = "route-missing"
    ROUTING_LOOP = "routing-loop"
    """Packets go round between hosts until their TTL runs out."""
    DUPLICATED = "duplicated"
    """A part sends packets more than once."""
    NODE_DOWN = "node-down"
    GATEWAY_DOWN = "gateway-down"
    SERVICE_PROXY_STALE = "service-proxy-stale"
    NO_ENDPOINTS = "no-endpoints"
    SERVICE_LOSSY = "service-lossy"
    """A service or a name fails for a share of the questions, again and again."""
    DNS_DOWN = "dns-down"
    DNS_FORWARD_MISSING = "dns-forward-missing"
    POLICY_DROP = "policy-drop"
    POLICY_REJECT = "policy-reject"
    SNAT = "snat"
    WRONG_PEER = "wrong-peer"
    IDLE_TIMEOUT = "idle-timeout"
    CONNTRACK_FULL = "conntrack-full"
    SELECTIVE_DROP = "selective-drop"
    """A part loses one class of traffic and passes the rest."""
    MEMBER_DOWN = "member-down"
    """A part loses a share of the flows, always the same: one member of a group is down."""
    STATUS_CONTRADICTED = "status-contradicted"
    """A gateway's own status reports a link as connected that packets do not pass."""
    INTENT_BROKEN = "intent-broken"
    """A watched intent allows a path that is not reachable."""
    INTENT_LEAK = "intent-leak"
    """A watched intent denies a path that is reachable."""
    AGENT_SICK = "agent-sick"
    AGENT_CUT_OFF = "agent-cut-off"
    """An agent runs, as its cluster's API reports, but sends no reports."""
    CLOCK = "clock"
    """A clock is off: an agent's, or the collector's own."""
    PART_LOSSY = "part-lossy"
    """A part other than a link loses a share of what crosses it, or of a class of it."""
    UNEXPLAINED = "unexplained"
    """Checks have failed for long, and nothing that is known explains them."""
    UNKNOWN = "unknown"


UNMEASURED = frozenset({Cause.AGENT_SICK, Cause.AGENT_CUT_OFF, Cause.CLOCK})
"""Causes that blame only ourselves: the network there is not called down."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sentence for or against a finding, and the checks it rests on."""

    text: Prose
    checks: tuple[CheckId, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is broken.

    *components* is the smallest set that explains what failed. If the checks cannot tell several components
    apart, *components* has one of them and *indistinguishable* has all.
    """

    id: str
    """Stable while the finding lasts: cause and components."""
    components: tuple[Component, ...]
    cause: Cause
    confidence: float
    """0–1."""
    summary: Prose
    """One sentence for the person on call."""
    evidence_for: tuple[Evidence, ...] = ()
    evidence_against: tuple[Evidence, ...] = ()
    indistinguishable: tuple[Component, ...] = ()
    hidden: tuple[Component, ...] = ()
    """Components behind the broken one, which cannot be measured now: unknown, not healthy."""
    affected: tuple[CheckId, ...] = ()
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    ended_ns: int | None = None
    loss: float | None = None
    """Estimated loss of the component, 0–1, if it is partial."""
    next_step: Prose = NO_PROSE
    traffic: tuple[TrafficCondition, ...] = ()
    """The class of traffic that is lost; empty where it is all of it."""
