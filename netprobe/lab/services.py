"""Service addresses, and the nftables rules with which each node balances them.

Rule: the rules follow kube-proxy's nftables mode: per service a map from a random number to an endpoint,
destination NAT at prerouting and output, source NAT only if a pod reaches itself (hairpin).
"""

from __future__ import annotations

from ipaddress import ip_network

from netprobe.lab.plan import PlannedService
from netprobe.lab.topology import ClusterTopology, Topology
from netprobe.model.names import ClusterName

TABLE = "np_service"
_FIRST_ADDRESS = 10  # of a service range; the DNS server's, then one per service
DNS_PORT = 53


def plan_services(
    topology: Topology, cluster: ClusterTopology, *, endpoints: tuple[str, ...], agent_port: int
) -> tuple[PlannedService, ...]:
    """The services of one cluster with their addresses; every service has the same *endpoints*."""
    return tuple(
        PlannedService(
            cluster=ClusterName(cluster.name),
            namespace=service.namespace,
            name=service.name,
            addresses=service_addresses(cluster, 1 + index),
            port=service.port,
            target_port=agent_port,
            endpoints=endpoints,
            exported=service.exported,
        )
        for index, service in enumerate(topology.services)
    )


def service_addresses(cluster: ClusterTopology, index: int) -> tuple[str, ...]:
    """The *index*-th service address of a cluster, IPv4 and IPv6; index 0 is the DNS server's."""
    return tuple(str(ip_network(text)[_FIRST_ADDRESS + index]) for text in cluster.service_cidrs)


def proxy_rules(
    services: tuple[PlannedService, ...], *, local_pods: tuple[str, ...], node_addresses: tuple[str, ...]
) -> str:
    """The nftables table of one node: balances *services*, with hairpin NAT for its own pods."""
    maps = [map_text(service, version) for service in services for version in (4, 6)]
    dnat = [_dnat(service, version) for service in services for version in (4, 6)]
    hairpin = [
        f"{_family(pod)} saddr {pod} {_family(pod)} daddr {pod} snat {_family(pod)} to {node}"
        for pod in local_pods
        for node in node_addresses
        if _family(pod) == _family(node)
    ]
    return "\n".join(
        [
            f"table inet {TABLE} {{",
            *maps,
            _chain("services", "", dnat),
            _chain("prerouting", "type nat hook prerouting priority dstnat", ["jump services"]),
            _chain("output", "type nat hook output priority -100", ["jump services"]),
            _chain("postrouting", "type nat hook postrouting priority srcnat", hairpin),
            "}",
        ]
    )


def map_name(service: PlannedService, version: int) -> str:
    """The name of the map from random number to endpoint."""
    return f"{service.namespace}_{service.name}_{version}".replace("-", "_")


def endpoints_of(service: PlannedService, version: int) -> tuple[str, ...]:
    """The endpoints of one IP version."""
    return tuple(address for address in service.endpoints if (":" in address) == (version == 6))


def map_elements(addresses: tuple[str, ...]) -> str:
    """Map elements in nftables' notation."""
    return ", ".join(f"{number} : {address}" for number, address in enumerate(addresses))


def map_text(service: PlannedService, version: int) -> str:
    """The map of one service, as text of the table."""
    addresses = endpoints_of(service, version)
    family = "ip6" if version == 6 else "ip"
    return (
        f"map {map_name(service, version)} {{\n typeof numgen random mod {len(addresses)} : {family} daddr\n"
        f" elements = {{ {map_elements(addresses)} }}\n}}"
    )


def _dnat(service: PlannedService, version: int) -> str:
    family = "ip6" if version == 6 else "ip"
    address = next(each for each in service.addresses if (":" in each) == (version == 6))
    count = len(endpoints_of(service, version))
    return (
        f"{family} daddr {address} meta l4proto {{ tcp, udp }} th dport {service.port} dnat {family} to "
        f"numgen random mod {count} map @{map_name(service, version)} : {service.target_port}"
    )


def _chain(name: str, hook: str, rules: list[str]) -> str:
    lines = [f"{hook}; policy accept"] if hook else []
    return "\n".join([f"chain {name} {{", *(f" {line}" for line in [*lines, *rules]), "}"])


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"
