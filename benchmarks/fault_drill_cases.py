"""Cases of the lab's score: every kind of fault at two places of the default topology, and pairs of faults.

Rule: the faults of a pair are of different kinds, at different places, and active at the same time. No fault
of a pair is hidden behind the other; hidden faults are tested separately.
"""

from __future__ import annotations

from netprobe.lab.fault_drill import DrillFault

PROD, STAGING, DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"


def _link(kind: str, source: str, target: str, **more: str) -> DrillFault:
    return DrillFault(kind, {"source": source, "target": target, **more})


CATALOGUE: tuple[tuple[DrillFault, DrillFault], ...] = (
    (_link("tunnel-down", PROD, STAGING), _link("tunnel-down", STAGING, DEV)),
    (_link("tunnel-port-blocked", STAGING, DEV), _link("tunnel-port-blocked", PROD, DEV)),
    (_link("tunnel-lossy", PROD, STAGING, percent="30"), _link("tunnel-lossy", PROD, DEV, percent="20")),
    (_link("tunnel-one-way", STAGING, PROD), _link("tunnel-one-way", PROD, DEV)),
    (_link("mtu-black-hole", DEV, STAGING), _link("mtu-black-hole", PROD, DEV)),
    (
        _link("overlay-blocked", f"{PROD}/w1", f"{PROD}/w2"),
        _link("overlay-blocked", f"{STAGING}/gw", f"{STAGING}/w1"),
    ),
    (
        DrillFault("route-missing", {"node": f"{PROD}/w1", "cluster": STAGING}),
        DrillFault("route-missing", {"node": f"{DEV}/w1", "cluster": PROD}),
    ),
    (DrillFault("node-down", {"node": f"{PROD}/w2"}), DrillFault("node-down", {"node": f"{STAGING}/w1"})),
    (DrillFault("gateway-down", {"cluster": DEV}), DrillFault("gateway-down", {"cluster": PROD})),
    (
        DrillFault("service-proxy-stale", {"node": f"{PROD}/w2"}),
        DrillFault("service-proxy-stale", {"node": f"{DEV}/gw"}),
    ),
    (DrillFault("no-endpoints", {"cluster": PROD}), DrillFault("no-endpoints", {"cluster": DEV})),
    (DrillFault("dns-down", {"cluster": PROD}), DrillFault("dns-down", {"cluster": STAGING})),
    (
        DrillFault("dns-forward-missing", {"cluster": STAGING}),
        DrillFault("dns-forward-missing", {"cluster": DEV}),
    ),
    (DrillFault("port-drop", {"node": f"{PROD}/w1"}), DrillFault("port-drop", {"node": f"{STAGING}/gw"})),
    (DrillFault("port-reject", {"node": f"{DEV}/w1"}), DrillFault("port-reject", {"node": f"{PROD}/gw"})),
    (DrillFault("snat", {"cluster": PROD}), DrillFault("snat", {"cluster": DEV})),
    (
        DrillFault("wrong-peer", {"cluster": STAGING, "victim": f"{PROD}/w1"}),
        DrillFault("wrong-peer", {"cluster": DEV, "victim": f"{STAGING}/w1"}),
    ),
    (
        DrillFault("agent-killed", {"agent": f"{STAGING}/w1/pod"}),
        DrillFault("agent-killed", {"agent": f"{PROD}/gw/host"}),
    ),
    (
        DrillFault("agent-frozen", {"agent": f"{PROD}/w1/pod"}),
        DrillFault("agent-frozen", {"agent": f"{DEV}/gw/host"}),
    ),
)


def _pair(
    first: str, at: int, second: str, other_at: int, gap_s: float
) -> tuple[DrillFault, DrillFault, float]:
    places = {pair[0].kind: pair for pair in CATALOGUE}
    return places[first][at], places[second][other_at], gap_s


PAIRS: tuple[tuple[DrillFault, DrillFault, float], ...] = (
    _pair("tunnel-down", 0, "service-proxy-stale", 1, 3.0),
    _pair("tunnel-down", 0, "dns-forward-missing", 1, 0.0),
    _pair("tunnel-down", 1, "port-drop", 0, 0.0),
    _pair("tunnel-lossy", 0, "no-endpoints", 1, 0.0),
    _pair("tunnel-lossy", 1, "overlay-blocked", 1, 3.0),
    _pair("tunnel-one-way", 0, "agent-killed", 1, 0.0),
    _pair("tunnel-one-way", 1, "dns-down", 1, 0.0),
    _pair("mtu-black-hole", 0, "service-proxy-stale", 0, 5.0),
    _pair("mtu-black-hole", 1, "port-drop", 1, 0.4),
    _pair("overlay-blocked", 0, "dns-forward-missing", 0, 5.0),
    _pair("route-missing", 0, "port-reject", 0, 0.4),
    _pair("route-missing", 1, "no-endpoints", 0, 3.0),
    _pair("node-down", 0, "tunnel-port-blocked", 0, 0.0),
    _pair("node-down", 1, "port-reject", 1, 0.4),
    _pair("gateway-down", 0, "dns-forward-missing", 0, 5.0),
    _pair("gateway-down", 1, "agent-killed", 0, 3.0),
    _pair("tunnel-port-blocked", 1, "agent-frozen", 0, 3.0),
    _pair("service-proxy-stale", 1, "dns-down", 1, 0.0),
    _pair("no-endpoints", 0, "tunnel-one-way", 1, 0.4),
    _pair("dns-down", 0, "port-reject", 0, 3.0),
    _pair("snat", 0, "overlay-blocked", 1, 3.0),
    _pair("snat", 1, "port-drop", 1, 0.0),
    _pair("wrong-peer", 0, "agent-frozen", 1, 0.0),
    _pair("agent-killed", 0, "port-reject", 1, 0.0),
)
"""Two faults, and the delay of the second in seconds."""
