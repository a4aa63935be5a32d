"""Parameters of the planner: sizes, counts and time-outs."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.errors import InputError


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """Parameters of the planner; the defaults fit fleets from a lab to hundreds of nodes."""

    full_mesh_nodes: int = 16
    """Largest number of nodes for which a full mesh is planned."""
    all_pairs_clusters: int = 24
    """Largest number of clusters for which workers of every ordered pair ask each other in every epoch. Above
    it, workers of some pairs do in turns, and for the others the gateways ask each other over every link."""
    sampled_groups: int = 2
    """Number of groups of three remote clusters that the workers of one cluster ask in one epoch, where pairs
    are sampled."""
    degree: int = 2
    """k of the circulant plan: number of nodes of its own cluster that each node asks per epoch."""
    with_variants: bool = True
    """Also ask, by some pairs, with TCP, IPv6, large packets and new flows (`variant_pairs`)."""
    are_variants_by_chance: bool = False
    """Choose those pairs as earlier builds did, to make the plans of their epochs again (`former_pairs`)."""
    burst: int = 3
    """ICMP and UDP probes per check and interval; more of them show loss in less time."""
    flows: int = 4
    """Number of further UDP flows of a pair per epoch if routers balance flows over several routes."""
    timeout_ns: int = 500_000_000
    with_host_plane: bool = True
    """Also ask from the host plane, which separates a CNI fault from a node fault."""
    agent_budget: int | None = None
    """Largest number of probes per interval that one agent sends; None for no limit."""
    cluster_budget: int | None = None
    """Largest number of probes per interval that all agents of one cluster send; None for no limit."""
    tunnel_budget: int | None = None
    """Largest number of probes per interval across one direction of a tunnel or link; None for no limit."""

    def __post_init__(self) -> None:
        for name in ("agent_budget", "cluster_budget", "tunnel_budget"):
            budget = getattr(self, name)
            if budget is not None and budget < 1:
                raise InputError(f"{budget} is not a positive number of probes", where=name.replace("_", " "))
