"""Targets of on-demand checks: the inventory and its allowed targets, nothing else."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import ClusterName, NodeName
from netprobe.planning.allow_list import find_askable
from tests import fleets


def is_in(address: str, networks: tuple[str, ...]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(text) for text in networks)


@given(st.sets(st.ip_addresses(v=4).map(str), min_size=1, max_size=30), st.ip_addresses(v=4).map(str))
def test_exactly_the_addresses_of_the_inventory_are_in_it(known: set[str], other: str) -> None:
    node = Node(NodeName("w1"), host_addresses=tuple(sorted(known)))
    found = find_askable(Inventory((Cluster(ClusterName("prod"), (node,)),)))
    assert all(is_in(address, found) for address in known)
    assert is_in(other, found) == (other in known)


def test_services_dns_and_allowed_targets_are_in_it_in_both_families() -> None:
    inventory = replace(fleets.healthy().inventory, allowed_targets=("192.0.2.0/28", "2001:db8::/64"))
    found = find_askable(inventory)
    cluster = inventory.clusters[0]
    wanted = (*cluster.dns_addresses, *cluster.services[0].addresses, "192.0.2.9", "2001:db8::7")
    assert all(is_in(address, found) for address in wanted)
    assert not is_in("192.0.2.16", found)


def test_a_large_fleet_is_told_by_its_ranges() -> None:
    inventory = fleets.healthy().inventory
    found = find_askable(inventory, max_addresses=1)
    assert set(inventory.clusters[0].pod_cidrs) <= set(found)
