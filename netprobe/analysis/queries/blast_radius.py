"""Finds who is hit: the node pairs, services and names whose checks a finding explains.

Rule: counted from the checks that the finding names as affected; what no check asks is not guessed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from netprobe.model.check import Layer, TargetKind
from netprobe.model.finding import Finding
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.snapshot import Snapshot

BETWEEN_NODES = frozenset((Layer.NODE, Layer.POD, Layer.HOST_POD))
"""Layers whose checks join two nodes."""


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What one finding hits."""

    paths: int
    pairs: tuple[tuple[NodeId, NodeId], ...]
    """Who asks and who is asked, sorted."""
    services: tuple[str, ...]
    """Services and DNS servers, ``cluster/namespace/name`` or ``cluster/dns``, sorted."""

    @property
    def by_cluster(self) -> tuple[tuple[ClusterName, ClusterName, int], ...]:
        """Pairs counted by the clusters of their ends, most first."""
        counts = Counter((source.cluster, target.cluster) for source, target in self.pairs)
        return tuple(
            (*pair, number) for pair, number in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
        )


def find_blast_radius(snapshot: Snapshot, finding: Finding) -> BlastRadius:
    """Whom *finding* hits, by the checks of *snapshot*."""
    affected = set(finding.affected)
    checks = [check for check in snapshot.checks if check.id in affected]
    pairs = {
        (check.source.node_id, check.target.node)
        for check in checks
        if check.layer in BETWEEN_NODES and check.target.node is not None
    }
    services = {c.target.name for c in checks if c.target.kind in {TargetKind.SERVICE, TargetKind.DNS}}
    return BlastRadius(len(affected), tuple(sorted(pairs)), tuple(sorted(services)))
