"""Every kind of fault of the lab, each at two places of the default topology: what the score is made of."""

from __future__ import annotations

from netprobe.cli.rehearsal import Fault

PROD, STAGING, DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"


def _link(kind: str, source: str, target: str, **more: str) -> Fault:
    return Fault(kind, {"source": source, "target": target, **more})


CATALOGUE: tuple[tuple[Fault, Fault], ...] = (
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
        Fault("route-missing", {"node": f"{PROD}/w1", "cluster": STAGING}),
        Fault("route-missing", {"node": f"{DEV}/w1", "cluster": PROD}),
    ),
    (Fault("node-down", {"node": f"{PROD}/w2"}), Fault("node-down", {"node": f"{STAGING}/w1"})),
    (Fault("gateway-down", {"cluster": DEV}), Fault("gateway-down", {"cluster": PROD})),
    (
        Fault("service-proxy-stale", {"node": f"{PROD}/w2"}),
        Fault("service-proxy-stale", {"node": f"{DEV}/gw"}),
    ),
    (Fault("no-endpoints", {"cluster": PROD}), Fault("no-endpoints", {"cluster": DEV})),
    (Fault("dns-down", {"cluster": PROD}), Fault("dns-down", {"cluster": STAGING})),
    (Fault("dns-forward-missing", {"cluster": STAGING}), Fault("dns-forward-missing", {"cluster": DEV})),
    (Fault("port-drop", {"node": f"{PROD}/w1"}), Fault("port-drop", {"node": f"{STAGING}/gw"})),
    (Fault("port-reject", {"node": f"{DEV}/w1"}), Fault("port-reject", {"node": f"{PROD}/gw"})),
    (Fault("snat", {"cluster": PROD}), Fault("snat", {"cluster": DEV})),
    (
        Fault("wrong-peer", {"cluster": STAGING, "victim": f"{PROD}/w1"}),
        Fault("wrong-peer", {"cluster": DEV, "victim": f"{STAGING}/w1"}),
    ),
    (
        Fault("agent-killed", {"agent": f"{STAGING}/w1/pod"}),
        Fault("agent-killed", {"agent": f"{PROD}/gw/host"}),
    ),
    (Fault("agent-frozen", {"agent": f"{PROD}/w1/pod"}), Fault("agent-frozen", {"agent": f"{DEV}/gw/host"})),
)
