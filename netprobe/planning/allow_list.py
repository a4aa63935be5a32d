"""Targets of on-demand checks, as the smallest list of CIDRs that covers exactly these addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from netprobe.model.inventory import Cluster, Inventory

MAX_ADDRESSES = 4_096
"""Limit of single addresses, as every plan contains the list; a larger fleet uses the clusters' ranges."""


def find_askable(inventory: Inventory, *, max_addresses: int = MAX_ADDRESSES) -> tuple[str, ...]:
    """Every address of the inventory and its allowed targets, in canonical form, IPv4 first."""
    ends = [text for link in inventory.links for text in (*link.source_addresses, *link.target_addresses)]
    exact = {*ends, *(text for cluster in inventory.clusters for text in _addresses(cluster))}
    if len(exact) > max_addresses:
        exact = {*ends, *(text for cluster in inventory.clusters for text in _ranges(cluster))}
    return _collapse({*exact, *inventory.allowed_targets})


def _addresses(cluster: Cluster) -> Iterable[str]:
    yield from cluster.dns_addresses
    for node in cluster.nodes:
        yield from (*node.host_addresses, *node.pod_addresses, *node.outer_addresses)
    for service in cluster.services:
        yield from (*service.addresses, *service.endpoints)


def _ranges(cluster: Cluster) -> Iterable[str]:
    yield from (*cluster.pod_cidrs, *cluster.service_cidrs, *cluster.dns_addresses)
    for node in cluster.gateways:
        yield from (*node.host_addresses, *node.outer_addresses)
    for service in cluster.services:
        yield from service.addresses


def _collapse(texts: Iterable[str]) -> tuple[str, ...]:
    networks = [ipaddress.ip_network(text) for text in texts]
    v4 = ipaddress.collapse_addresses(
        network for network in networks if isinstance(network, ipaddress.IPv4Network)
    )
    v6 = ipaddress.collapse_addresses(
        network for network in networks if isinstance(network, ipaddress.IPv6Network)
    )
    return (*(str(network) for network in v4), *(str(network) for network in v6))
