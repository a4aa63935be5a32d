"""Registry of fault kinds, one line each."""

from __future__ import annotations

from netprobe.lab.faults import agents, gateways, links, nodes, policies, services
from netprobe.lab.faults.base import FaultKind

_ALL: tuple[FaultKind, ...] = (
    links.TUNNEL_DOWN,
    links.TUNNEL_PORT_BLOCKED,
    links.TUNNEL_LOSSY,
    links.TUNNEL_ONE_WAY,
    links.MTU_BLACK_HOLE,
    nodes.OVERLAY_BLOCKED,
    nodes.ROUTE_MISSING,
    nodes.NODE_DOWN,
    nodes.GATEWAY_DOWN,
    services.SERVICE_PROXY_STALE,
    services.NO_ENDPOINTS,
    services.DNS_DOWN,
    services.DNS_FORWARD_MISSING,
    policies.PORT_DROP,
    policies.PORT_REJECT,
    gateways.SNAT,
    gateways.WRONG_PEER,
    agents.AGENT_KILLED,
    agents.AGENT_FROZEN,
)

KINDS: dict[str, FaultKind] = {kind.name: kind for kind in _ALL}
