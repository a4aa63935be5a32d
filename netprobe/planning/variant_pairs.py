"""Which pairs of nodes also get the variants, so that classes of traffic are told apart at every part.

A class is told apart if no other one is met by the same checks (rows of a locating array: Colbourn and
McClary, 2008). Rules:

- Inside a cluster the variants follow one offset of the ring: every node asks one other and is asked by one.
  With a single check per node, two nodes whose only IPv6 check is the one between them would look alike.
- Between clusters one pair of nodes per route, workers if there are any, gets the variants, and the host of
  its gateway asks the other end's pod, so that the plane of the source is not always that of the target.
- A route that few pairs cross has its variants in turns, or they would be a large share of its checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from netprobe.model.names import NodeId, Plane
from netprobe.planning.cluster_graph import ClusterGraph

_FEW_PAIRS = 4
"""A route that fewer pairs cross has its variants in turns."""
_TURNS = 3
"""Epochs within which every route has had its turn."""
_RouteKey = frozenset[frozenset[NodeId]]
"""The two gateways of each link of a route; both directions have the same."""


class VariantPairs(NamedTuple):
    """Pairs of nodes of different clusters that ask more than others."""

    chosen: tuple[int, ...]
    """Places of the pairs that get the variants."""
    mixed: tuple[tuple[NodeId, NodeId], ...]
    """Whose host asks whose pod."""
    few: frozenset[tuple[NodeId, NodeId]] = frozenset()
    """Those of *chosen* and *mixed* whose route few pairs cross."""


def choose_variant_pairs(
    graph: ClusterGraph, pairs: Sequence[tuple[NodeId, NodeId]], *, epoch: int, seed: int, in_turns: bool
) -> VariantPairs:
    """Of *pairs* between clusters, one per route; only routes whose turn it is if *in_turns*.

    The first pair of workers is taken, or the first pair with the fewest gateways.
    """
    best: dict[_RouteKey, tuple[int, int]] = {}
    crossed: dict[_RouteKey, set[tuple[NodeId, NodeId]]] = {}
    for place, pair in enumerate(pairs):
        route = graph.route_between(*pair)
        if route is None:
            continue
        key = frozenset(frozenset((hop.source_gateway, hop.target_gateway)) for hop in route.hops)
        crossed.setdefault(key, set()).add(pair)
        rank = sum(node in graph.gateways for node in pair), place
        best[key] = min(best.get(key, rank), rank)
    chosen = sorted(
        place
        for key, (_, place) in best.items()
        if not in_turns or len(crossed[key]) >= _FEW_PAIRS or _is_turn(key, epoch=epoch, seed=seed)
    )
    mixed = {place: _mix(graph, *pairs[place]) for place in chosen if has_pods(graph, *pairs[place])}
    scarce = {best[key][1] for key in best if len(crossed[key]) < _FEW_PAIRS}
    few = frozenset(pair for place in scarce & mixed.keys() for pair in (pairs[place], mixed[place]))
    return VariantPairs(tuple(chosen), tuple(mixed.values()), few)


def has_pods(graph: ClusterGraph, one: NodeId, other: NodeId) -> bool:
    """Whether pod agents run on both nodes; if not, their hosts ask with the variants."""
    return graph.runs_agent(one, Plane.POD) and graph.runs_agent(other, Plane.POD)


def _mix(graph: ClusterGraph, source: NodeId, target: NodeId) -> tuple[NodeId, NodeId]:
    """The gateway of *source* with *target*: host traffic of a gateway rides no overlay on its own side."""
    route = graph.route_between(source, target)
    assert route is not None
    return route.hops[0].source_gateway, target


def _is_turn(key: _RouteKey, *, epoch: int, seed: int) -> bool:
    text = f"{seed} {sorted(sorted(map(str, gateways)) for gateways in key)}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + epoch) % _TURNS == 0
