"""Questions to the map: choke points, ways around, islands, and what a death would cut off."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import pytest

from netprobe.analysis.queries.weak_points import (
    build_map,
    find_cut_off,
    find_cut_pairs,
    find_islands,
    find_parts_of,
    find_way_around,
    find_weak_points,
)
from netprobe.model import component as part
from netprobe.model.inventory import Inventory, LinkKind
from netprobe.model.names import ClusterName
from tests import fleets
from tests.fleets import DEV, PROD, STAGING


def chain() -> Inventory:
    """Prod – staging – dev, without the direct link."""
    whole = fleets.default_inventory()
    return replace(whole, links=whole.links[:2])


def find_choke_points(graph: nx.Graph[str], *, source: ClusterName, target: ClusterName) -> tuple[str, ...]:
    """An oracle: gateways, links and clusters that every way from *source* to *target* crosses, in order.

    They are the dominators of *target*; none where there is no way at all.
    """
    if source == target or target not in graph or source not in graph:
        return ()
    if not nx.has_path(graph, source, target):
        return ()
    dominator_of = nx.immediate_dominators(graph.to_directed(as_view=True), source)
    found: list[str] = []
    vertex = dominator_of[target]
    while vertex != source:
        found.append(vertex)
        vertex = dominator_of[vertex]
    return tuple(reversed(found))


def test_in_a_triangle_only_the_two_gateways_are_choke_points() -> None:
    graph = build_map(fleets.default_inventory())
    found = find_choke_points(graph, source=PROD, target=DEV)
    assert found == (f"{PROD}/gw", f"{DEV}/gw")


def test_in_a_chain_every_link_and_the_cluster_between_are_choke_points() -> None:
    found = find_choke_points(build_map(chain()), source=PROD, target=DEV)
    assert [vertex.partition(" ")[0] for vertex in found] == [
        f"{PROD}/gw", f"wireguard:{PROD}–{STAGING}", f"{STAGING}/gw",
        f"wireguard:{STAGING}–{DEV}", f"{DEV}/gw",
    ]  # fmt: skip


def test_no_way_has_no_choke_points() -> None:
    alone = replace(chain(), links=())
    assert find_choke_points(build_map(alone), source=PROD, target=DEV) == ()


@pytest.mark.parametrize(
    ("inventory", "dead", "way"),
    [
        (fleets.default_inventory(), (part.tunnel(PROD, DEV),), (PROD, STAGING, DEV)),
        (fleets.default_inventory(), (part.gateway_out(fleets.node_id(PROD, "gw")),), ()),
        (chain(), (part.tunnel(STAGING, DEV),), ()),
    ],
    ids=["over the third cluster", "not past its own gateway", "not in a chain"],
)
def test_the_way_that_is_left(inventory: Inventory, dead: tuple[part.Component, ...], way: object) -> None:
    assert find_way_around(build_map(inventory), dead, source=PROD, target=DEV) == way


def test_what_no_way_on_the_map_avoids_is_a_weak_point() -> None:
    weak = find_weak_points(fleets.healthy())
    gateways = {point.components[0].source for point in weak if (DEV, PROD) in point.cuts}
    unavoidable = find_choke_points(build_map(fleets.default_inventory()), source=PROD, target=DEV)
    assert set(unavoidable) <= gateways


def test_gateways_weigh_more_than_links() -> None:
    weak = find_weak_points(fleets.healthy())
    assert [len(point.cuts) for point in weak] == [2, 2, 2, 1, 1, 1]
    link = next(w for w in weak if part.tunnel(PROD, DEV) in w.components)
    assert link.around == {(DEV, PROD): (DEV, STAGING, PROD)}


def test_a_dead_tunnel_cuts_a_pair_and_makes_no_island_while_a_third_cluster_joins_both() -> None:
    snapshot = fleets.tunnel_down()
    assert find_cut_pairs(snapshot) == ((PROD, STAGING),)
    assert len(find_islands(snapshot)) == 1


def test_with_every_link_of_a_cluster_dead_it_is_an_island() -> None:
    ways = [part.tunnel(a, b) for a, b in ((PROD, STAGING), (STAGING, PROD), (PROD, DEV), (DEV, PROD))]
    snapshot = fleets.snapshot_of(fleets.default_inventory(), lossy=dict.fromkeys(ways, 1.0))
    assert find_islands(snapshot) == ((DEV, STAGING), (PROD,))


def test_what_nobody_measured_is_not_cut_off() -> None:
    silent = frozenset(fleets.default_inventory().iter_agents())
    snapshot = fleets.snapshot_of(fleets.default_inventory(), silent=silent)
    assert (find_cut_pairs(snapshot), len(find_islands(snapshot))) == ((), 1)


def test_a_dead_gateway_cuts_its_cluster_off_and_leaves_workers_to_each_other() -> None:
    snapshot = fleets.healthy()
    lost = find_cut_off(snapshot, find_parts_of(snapshot, fleets.node_id(PROD, "gw")))
    w1, w2 = fleets.node_id(PROD, "w1"), fleets.node_id(PROD, "w2")
    assert (w1, w2) not in lost.pairs
    assert {source.cluster for source, _ in lost.pairs} == {PROD, STAGING, DEV}
    assert (w1, fleets.node_id(DEV, "w1")) in lost.pairs
    assert lost.services == ()


def test_a_dead_dns_server_costs_names_and_no_pair() -> None:
    lost = find_cut_off(fleets.healthy(), frozenset((part.dns(DEV),)))
    assert (lost.pairs, lost.services) == ((), ((DEV, f"{DEV}/dns"),))


def twice_joined() -> Inventory:
    """The triangle with a second link between prod and dev."""
    whole = fleets.default_inventory()
    direct = next(link for link in whole.links if {link.source, link.target} == {PROD, DEV})
    return replace(whole, links=(*whole.links, replace(direct, kind=LinkKind.TUNNEL, mechanism="wireguard")))


def test_a_dead_link_is_gone_and_its_twin_goes_on() -> None:
    """A tunnel that says which of several links it is stands for that one, else it stands for all."""
    inventory = twice_joined()
    graph = build_map(inventory)
    details = [
        detail
        for link, detail in zip(inventory.links, inventory.link_details(), strict=True)
        if {link.source, link.target} == {PROD, DEV}
    ]
    assert len(set(details)) == 2
    for direction in ((PROD, DEV), (DEV, PROD)):
        tunnels = [part.tunnel(*direction, link=detail) for detail in details]
        for one in tunnels:
            assert find_way_around(graph, (one,), source=PROD, target=DEV) == (PROD, DEV)
        assert find_way_around(graph, tunnels, source=PROD, target=DEV) == (PROD, STAGING, DEV)
        assert find_way_around(graph, (part.tunnel(*direction),), source=PROD, target=DEV) == (
            PROD, STAGING, DEV,
        )  # fmt: skip


def test_what_is_neither_link_nor_gateway_takes_no_way_away() -> None:
    node = fleets.node_id(PROD, "gw")
    others = (part.node_in(node), part.node_out(node), part.service_proxy(node), part.dns(PROD))
    graph = build_map(fleets.default_inventory())
    assert find_way_around(graph, others, source=PROD, target=DEV) == (PROD, DEV)
