"""Every system whose list of clusters can be read; a new one is a file and a line here."""

from __future__ import annotations

from netprobe.discovery.cluster_sources import (
    admiral,
    argocd,
    clusterprofile,
    flux,
    istio,
    karmada,
    kubefed,
    ocm,
)
from netprobe.discovery.cluster_sources.source import ClusterSource

SOURCES: tuple[ClusterSource, ...] = (
    argocd.SOURCE,
    flux.SOURCE,
    clusterprofile.SOURCE,
    kubefed.SOURCE,
    karmada.SOURCE,
    ocm.SOURCE,
    istio.SOURCE,
    admiral.SOURCE,
)


def source_names() -> tuple[str, ...]:
    """As they are given on the command line."""
    return tuple(source.name for source in SOURCES)
