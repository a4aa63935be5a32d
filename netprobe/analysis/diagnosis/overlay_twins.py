"""Whether a lossy overlay may be the forwarding of a node at its end instead.

In a cluster of two nodes everything that others send to the pods of a node comes over one overlay, so that
only what stays within the node would show that its way to the pods is fine; and a filter on forwarded packets
spares that.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netprobe.analysis.diagnosis.loss_rows import LossRows, without_plane
from netprobe.analysis.localise.evidence import Observations
from netprobe.model.component import Component, ComponentKind, node_in, node_out, pod_in, pod_out
from netprobe.model.names import NodeId


def find_overlay_twins(
    rows: LossRows, part: Component, every: Observations[Component]
) -> tuple[Component, ...]:
    """Ways of the overlay's end nodes that the same measured rows cross, but for those within the node."""
    if part.kind is not ComponentKind.OVERLAY or part.detail:
        return ()
    own = set(_measured(rows, part, every))
    return tuple(way for way in _ways_of_ends(part) if own == set(_from_elsewhere(rows, way, every)))


def _ways_of_ends(part: Component) -> Iterator[Component]:
    begin, end = NodeId.parse(str(part.source)), NodeId.parse(str(part.target))
    yield from (pod_in(end), node_in(end), pod_out(begin), node_out(begin))


def _measured(rows: LossRows, part: Component, every: Observations[Component]) -> Iterator[int]:
    for number, other in enumerate(rows.matrix.components):
        if without_plane(other) == part:
            crossed, _ = rows.matrix.rows_crossing(np.array([number]))
            yield from crossed[every.sent[crossed] > 0].tolist()


def _from_elsewhere(rows: LossRows, way: Component, every: Observations[Component]) -> Iterator[int]:
    for row in _measured(rows, way, every):
        check = rows.check(row)
        if check.asked is None or check.asked.node_id != check.source.node_id:
            yield row
