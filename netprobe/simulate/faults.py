"""The labelled faults by kind: which effects make them and what they must be called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from netprobe.errors import InputError
from netprobe.model.component import (
    Component,
    agent,
    cluster_route,
    dns,
    firewall_rule,
    gateway_in,
    gateway_out,
    node_in,
    node_out,
    overlay,
    service,
    service_proxy,
    tunnel,
)
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane
from netprobe.simulate.effects import (
    AgentFrozen,
    AgentKilled,
    Delay,
    DnsDown,
    Effect,
    Impostor,
    Lose,
    Masquerade,
    NodeDown,
    NoEndpoints,
    Reject,
    SimulatedFault,
    StaleProxy,
    TableFull,
    ZoneMissing,
)

Made = tuple[Cause, Iterable[Component], Iterable[Effect]]
_BLACK_HOLE_ABOVE = 1000
_CLUSTERSET = "clusterset.local"
_MOST = {"percent": 100, "ms": 10_000}


def make_fault(inventory: Inventory, kind: str, parameters: Mapping[str, str]) -> SimulatedFault:
    """The fault of that kind.

    Raises `InputError` for an unknown kind, and for a parameter that is missing, unknown or names something
    that is not there.
    """
    if kind not in KINDS:
        raise InputError(f"unknown fault {kind!r}; there are {', '.join(sorted(KINDS))}", where="kind")
    for key, value in parameters.items():
        _require_known(inventory, kind, key, value)
    try:
        cause, components, effects = KINDS[kind](inventory, parameters)
    except KeyError as error:
        raise InputError(f"needs the parameter {error.args[0]!r}", where=kind) from error
    words = " ".join(f"{key}={value}" for key, value in parameters.items())
    return SimulatedFault(f"{kind} {words}", GroundTruth(cause, tuple(components)), tuple(effects))


def _require_known(inventory: Inventory, kind: str, key: str, value: str) -> None:
    """A fault in a part that does not exist would simply never show."""
    where = f"{kind} {key}={value}"
    match key:
        case "link":
            _require_link(inventory, value, where)
        case "source" | "target" | "cluster":
            if inventory.find_cluster(value) is None:
                raise InputError("there is no such cluster", where=where)
        case "node" | "other":
            if inventory.find_node(NodeId.parse(value)) is None:
                raise InputError("there is no such node", where=where)
        case "agent":
            if AgentId.parse(value) not in set(inventory.iter_agents()):
                raise InputError("there is no such agent", where=where)
        case "percent" | "ms":
            _require_number(value, _MOST[key], where)
        case "service" | "port":
            pass
        case _:
            raise InputError("there is no such parameter", where=where)


def _require_link(inventory: Inventory, told: str, where: str) -> None:
    if told not in inventory.link_details():
        raise InputError("there is no such link", where=where)


def _require_number(value: str, most: int, where: str) -> None:
    if not value.isdecimal() or not 0 < int(value) <= most:
        raise InputError(f"is not a whole number from 1 to {most}", where=where)


def _both(parameters: Mapping[str, str]) -> tuple[Component, Component]:
    one, other = ClusterName(parameters["source"]), ClusterName(parameters["target"])
    link = parameters.get("link", "")
    return tunnel(one, other, link=link), tunnel(other, one, link=link)


def _there(parameters: Mapping[str, str]) -> Component:
    return _both(parameters)[0]


def _tunnel_down(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    parts = _both(parameters)
    return Cause.TUNNEL_DOWN, parts, map(Lose, parts)


def _tunnel_lossy(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    share = float(parameters.get("percent", "30")) / 100
    parts = _both(parameters)
    return Cause.TUNNEL_LOSSY, parts, [Lose(part, share) for part in parts]


def _tunnel_slow(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    extra_ns = int(parameters.get("ms", "40")) * 1_000_000
    parts = _both(parameters)
    return Cause.TUNNEL_SLOW, parts, [Delay(part, extra_ns // 2) for part in parts]


def _one_way(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    return Cause.RETURN_PATH_DROPPED, [_there(parameters)], [Lose(_there(parameters))]


def _mtu(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    part = _there(parameters)
    return Cause.TUNNEL_MTU, [part], [Lose(part, min_size=_BLACK_HOLE_ABOVE)]


def _overlay(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    one, other = NodeId.parse(parameters["node"]), NodeId.parse(parameters["other"])
    parts = overlay(one, other), overlay(other, one)
    return Cause.OVERLAY_BLOCKED, parts, map(Lose, parts)


def _route(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    node, remote = NodeId.parse(parameters["node"]), parameters["cluster"]
    gateway = _gateway(inventory, node.cluster)
    part = cluster_route(node, gateway=gateway, target=ClusterName(remote))
    return Cause.ROUTE_MISSING, [part], [Lose(part)]


def _node(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    node = NodeId.parse(parameters["node"])
    return Cause.NODE_DOWN, [node_out(node), node_in(node)], [NodeDown(node)]


def _gateway_down(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    gateway = _gateway(inventory, parameters["cluster"])
    return Cause.GATEWAY_DOWN, [gateway_out(gateway), gateway_in(gateway)], [NodeDown(gateway)]


def _proxy(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    node = NodeId.parse(parameters["node"])
    return Cause.SERVICE_PROXY_STALE, [service_proxy(node)], [StaleProxy(node)]


def _table_full(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    node = NodeId.parse(parameters["node"])
    return Cause.CONNTRACK_FULL, [node_out(node)], [TableFull(node)]


def _no_endpoints(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    cluster, name = ClusterName(parameters["cluster"]), parameters["service"]
    return Cause.NO_ENDPOINTS, [service(cluster, name)], [NoEndpoints(cluster, name)]


def _dns_down(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    cluster = ClusterName(parameters["cluster"])
    return Cause.DNS_DOWN, [dns(cluster)], [DnsDown(cluster)]


def _zone(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    cluster = ClusterName(parameters["cluster"])
    return (
        Cause.DNS_FORWARD_MISSING,
        [dns(cluster, zone=_CLUSTERSET)],
        [ZoneMissing(cluster, _CLUSTERSET)],
    )


def _door(parameters: Mapping[str, str]) -> Component:
    return firewall_rule(NodeId.parse(parameters["node"]), port=parameters.get("port", "tcp/9771"))


def _port_drop(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    return Cause.POLICY_DROP, [_door(parameters)], [Lose(_door(parameters))]


def _port_reject(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    node = inventory.find_node(NodeId.parse(parameters["node"]))
    sender = node.host_addresses[0] if node else ""
    return Cause.POLICY_REJECT, [_door(parameters)], [Reject(_door(parameters), sender)]


def _snat(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    gateway = _gateway(inventory, parameters["cluster"])
    node = inventory.find_node(gateway)
    seen_as = node.host_addresses[0] if node else ""
    return Cause.SNAT, [gateway_out(gateway)], [Masquerade(gateway, seen_as)]


def _wrong_peer(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    cluster, node = ClusterName(parameters["cluster"]), NodeId.parse(parameters["node"])
    gateway = _gateway(inventory, cluster)
    victim = AgentId(node.cluster, node.node, Plane.POD)
    impostor = AgentId(cluster, gateway.node, Plane.POD)
    return Cause.WRONG_PEER, [gateway_out(gateway)], [Impostor(cluster, victim, impostor)]


def _killed(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    victim = AgentId.parse(parameters["agent"])
    return Cause.AGENT_SICK, [agent(victim)], [AgentKilled(victim)]


def _frozen(inventory: Inventory, parameters: Mapping[str, str]) -> Made:
    del inventory
    victim = AgentId.parse(parameters["agent"])
    return Cause.AGENT_SICK, [agent(victim)], [AgentFrozen(victim)]


def _gateway(inventory: Inventory, name: str) -> NodeId:
    cluster = inventory.find_cluster(name)
    if cluster is None or not cluster.gateways:
        raise InputError(f"no gateway in cluster {name!r}", where="cluster")
    return cluster.node_id(cluster.gateways[0])


KINDS: dict[str, Callable[[Inventory, Mapping[str, str]], Made]] = {
    "tunnel-down": _tunnel_down,
    "tunnel-port-blocked": _tunnel_down,
    "tunnel-lossy": _tunnel_lossy,
    "tunnel-slow": _tunnel_slow,
    "tunnel-one-way": _one_way,
    "mtu-black-hole": _mtu,
    "overlay-blocked": _overlay,
    "route-missing": _route,
    "node-down": _node,
    "gateway-down": _gateway_down,
    "service-proxy-stale": _proxy,
    "no-endpoints": _no_endpoints,
    "conntrack-full": _table_full,
    "dns-down": _dns_down,
    "dns-forward-missing": _zone,
    "port-drop": _port_drop,
    "port-reject": _port_reject,
    "snat": _snat,
    "wrong-peer": _wrong_peer,
    "agent-killed": _killed,
    "agent-frozen": _frozen,
}
