"""Open Cluster Management: a hub that manages clusters; spokes serve the group too, for ClusterClaims."""

from __future__ import annotations

NAME = "Open Cluster Management"


def is_served(served: frozenset[str]) -> bool:
    """Whether its API groups are served."""
    return "cluster.open-cluster-management.io" in served
