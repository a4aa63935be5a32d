"""The pairs of an epoch as earlier builds chose them: a quarter, by chance, got the variants.

Rule: never changed, as a kept epoch is judged again only if its plans can be made again bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from netprobe.model.names import AgentId, NodeId, Plane
from netprobe.planning.circulant import node_keys
from netprobe.planning.cluster_graph import ClusterGraph, agent_of

_SHARE = 0.25
Ends = tuple[AgentId, AgentId, bool]
"""Who asks whom, and whether with the variants."""


def find_former_mesh(graph: ClusterGraph) -> Iterator[Ends]:
    """Every node asks every other one on both planes, with the variants."""
    for source in graph.node_of:
        for target in graph.node_of:
            if source != target:
                yield from ((agent_of(source, plane), agent_of(target, plane), True) for plane in Plane)
            if source.cluster == target.cluster:
                yield agent_of(source, Plane.HOST), agent_of(target, Plane.POD), True


def find_former_sparse(
    pairs: Iterable[tuple[NodeId, NodeId]], *, epoch: int, seed: int, with_host_plane: bool
) -> Iterator[Ends]:
    """The given pairs of nodes; a quarter of them with the variants."""
    listed = tuple(pairs)
    keys = node_keys(f"{seed} {epoch} {source} {target}" for source, target in listed)
    is_rich = (keys.astype(np.float64) / 2**64 < _SHARE).tolist()
    for (source, target), rich in zip(listed, is_rich, strict=True):
        yield agent_of(source, Plane.POD), agent_of(target, Plane.POD), rich
        if with_host_plane:
            yield agent_of(source, Plane.HOST), agent_of(target, Plane.HOST), rich
            if source.cluster == target.cluster:
                yield agent_of(source, Plane.HOST), agent_of(target, Plane.POD), False
