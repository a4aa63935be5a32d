"""Plans of faults: their ground truth, where they act, and which are refused."""

from __future__ import annotations

import pytest

from netprobe.errors import InputError
from netprobe.lab.faults import KINDS
from netprobe.lab.faults.base import FaultPlan, Killed, LinksDown, NftChange, NftTable, PeerGone, RoutesGone
from netprobe.lab.plan import LabPlan
from netprobe.lab.planner import plan_lab
from netprobe.lab.topology import load_topology

PROD, STAGING, DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"


@pytest.fixture(scope="module")
def plan() -> LabPlan:
    return plan_lab(load_topology(None))


def make(plan: LabPlan, kind: str, **parameters: str) -> FaultPlan:
    return KINDS[kind].plan(KINDS[kind].read(plan, parameters))


BOTH = {"source": PROD, "target": STAGING}
W1 = f"{PROD}/w1"
LABELS = {
    "tunnel-down": (BOTH, f"tunnel-down: tunnel({PROD}→{STAGING}), tunnel({STAGING}→{PROD})"),
    "tunnel-port-blocked": (BOTH, f"tunnel-down: tunnel({PROD}→{STAGING}), tunnel({STAGING}→{PROD})"),
    "tunnel-lossy": (BOTH, f"tunnel-lossy: tunnel({PROD}→{STAGING}), tunnel({STAGING}→{PROD})"),
    "tunnel-one-way": (BOTH, f"return-path-dropped: tunnel({PROD}→{STAGING})"),
    "mtu-black-hole": (BOTH, f"tunnel-mtu: tunnel({PROD}→{STAGING})"),
    "overlay-blocked": (
        {"source": W1, "target": f"{PROD}/w2"},
        f"overlay-blocked: overlay({W1}→{PROD}/w2), overlay({PROD}/w2→{W1})",
    ),
    "route-missing": ({"node": W1, "cluster": DEV}, f"route-missing: overlay({W1}→{PROD}/gw to {DEV})"),
    "node-down": ({"node": W1}, f"node-down: node-in({W1}), node-out({W1})"),
    "gateway-down": ({"cluster": DEV}, f"gateway-down: gateway-in({DEV}/gw), gateway-out({DEV}/gw)"),
    "service-proxy-stale": ({"node": W1}, f"service-proxy-stale: service-proxy({W1})"),
    "no-endpoints": ({"cluster": DEV}, f"no-endpoints: service({DEV} netprobe/echo)"),
    "dns-down": ({"cluster": DEV}, f"dns-down: dns({DEV})"),
    "dns-forward-missing": ({"cluster": DEV}, f"dns-forward-missing: dns({DEV} clusterset.local)"),
    "port-drop": ({"node": W1}, f"policy-drop: firewall-rule({W1} tcp/9771)"),
    "port-reject": ({"node": W1, "port": "udp/53"}, f"policy-reject: firewall-rule({W1} udp/53)"),
    "snat": ({"cluster": PROD}, f"snat: gateway-out({PROD}/gw)"),
    "wrong-peer": ({"cluster": PROD, "victim": f"{DEV}/w1"}, f"wrong-peer: gateway-out({PROD}/gw)"),
    "agent-killed": ({"agent": f"{W1}/pod"}, f"agent-sick: agent({W1}/pod)"),
    "agent-frozen": ({"agent": f"{W1}/host"}, f"agent-sick: agent({W1}/host)"),
}


def test_every_kind_is_labelled_here() -> None:
    assert set(LABELS) == set(KINDS)
    assert len(KINDS) >= 14


@pytest.mark.parametrize("kind", LABELS)
def test_a_fault_knows_what_it_must_be_called(plan: LabPlan, kind: str) -> None:
    parameters, label = LABELS[kind]
    fault = make(plan, kind, **parameters)
    assert str(fault.label) == label
    assert fault.actions


@pytest.mark.parametrize("kind", LABELS)
def test_no_two_tables_of_a_fault_stand_on_one_host(plan: LabPlan, kind: str) -> None:
    """They would have the same name."""
    hosts = [
        action.host for action in make(plan, kind, **LABELS[kind][0]).actions if isinstance(action, NftTable)
    ]
    assert len(hosts) == len(set(hosts))


@pytest.mark.parametrize("kind", ["tunnel-one-way", "mtu-black-hole"])
def test_packets_are_dropped_on_arrival(plan: LabPlan, kind: str) -> None:
    (action,) = make(plan, kind, source=DEV, target=PROD).actions
    link = plan.find_tunnel(PROD, DEV)
    assert link is not None
    assert isinstance(action, NftTable)
    assert action.host == f"{PROD}/gw"
    assert f'iifname "{link.end(PROD).interface}"' in action.body


def test_a_tunnel_goes_down_at_the_end_that_is_named_first(plan: LabPlan) -> None:
    (action,) = make(plan, "tunnel-down", source=STAGING, target=PROD).actions
    link = plan.find_tunnel(PROD, STAGING)
    assert link is not None
    assert action == PeerGone(f"{STAGING}/gw", link.end(STAGING).interface)


def test_a_blocked_port_is_blocked_at_the_router_and_a_direct_link_at_both_ends(plan: LabPlan) -> None:
    (router,) = make(plan, "tunnel-port-blocked", source=PROD, target=STAGING).actions
    assert isinstance(router, NftTable)
    assert router.host == f"{PROD}/edge"
    ends = make(plan, "tunnel-port-blocked", source=PROD, target=DEV).actions
    assert {action.host for action in ends if isinstance(action, NftTable)} == {f"{PROD}/gw", f"{DEV}/gw"}


def test_a_missing_route_takes_every_range_of_that_cluster_and_no_other(plan: LabPlan) -> None:
    (action,) = make(plan, "route-missing", node=W1, cluster=STAGING).actions
    staging = plan.find_cluster(STAGING)
    assert staging is not None
    ranges = {*staging.node_cidrs, *staging.pod_cidrs, *staging.service_cidrs}
    assert isinstance(action, RoutesGone)
    assert set(action.ranges) == ranges
    assert ranges <= {route.to for route in plan.host(W1).routes}


def test_a_node_that_is_down_has_no_link_left(plan: LabPlan) -> None:
    (action,) = make(plan, "node-down", node=W1).actions
    assert action == LinksDown(W1, ("overlay0", "eth0", "pod0", "pod1"))


def test_a_stale_proxy_points_at_a_deleted_pod_and_is_restored(plan: LabPlan) -> None:
    everybody = {one.text.partition("/")[0] for host in plan.hosts for one in host.addresses}
    cluster = plan.find_cluster(PROD)
    assert cluster is not None
    for action in make(plan, "service-proxy-stale", node=W1).actions:
        assert isinstance(action, NftChange)
        dead = {word.strip("{},") for word in action.script.split() if "." in word or "::" in word}
        right = {word.strip("{},") for word in action.undo.split() if "." in word or "::" in word}
        assert dead
        assert not dead & everybody
        assert right <= set(cluster.services[0].endpoints)


def test_a_killed_agent_is_the_process_of_that_name(plan: LabPlan) -> None:
    assert make(plan, "agent-killed", agent=f"{W1}/pod").actions == (Killed(f"{W1}/pod"),)


REFUSED = {
    "gateway is not a worker": ("node-down", {"node": f"{PROD}/gw"}, "gateway-down"),
    "route of the gateway": ("route-missing", {"node": f"{PROD}/gw", "cluster": DEV}, "choose a worker"),
    "route home": ("route-missing", {"node": W1, "cluster": PROD}, "no link connects"),
    "a node with itself": ("overlay-blocked", {"source": W1, "target": W1}, "two nodes of one cluster"),
    "own victim": ("wrong-peer", {"cluster": PROD, "victim": W1}, "another cluster"),
    "not a node": ("node-down", {"node": "w1"}, "node: 'w1' is not <cluster>/<node>"),
    "not an agent": ("agent-killed", {"agent": W1}, "agent: "),
    "unknown agent": ("agent-killed", {"agent": f"{PROD}/w9/pod"}, "agent: unknown agent"),
    "no port": ("port-drop", {"node": W1, "port": "sctp/9"}, "port: 'sctp/9' is not a port"),
    "port too high": ("port-drop", {"node": W1, "port": "tcp/70000"}, "port: 'tcp/70000' is not a port"),
    "nothing lost": ("tunnel-lossy", {**BOTH, "percent": "0"}, "percent: '0' is not"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line(plan: LabPlan, name: str) -> None:
    kind, parameters, what = REFUSED[name]
    with pytest.raises(InputError) as caught:
        make(plan, kind, **parameters)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
