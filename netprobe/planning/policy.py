"""How much is asked: sizes, counts and time-outs of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.errors import InputError


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """The knobs of the planner; the defaults fit fleets from a lab to hundreds of nodes."""

    full_mesh_nodes: int = 16
    """Up to this many nodes everybody asks everybody: cheap, and nothing is left to chance."""
    all_pairs_clusters: int = 24
    """Up to this many clusters workers of every ordered pair ask each other in every epoch; above it workers
    of some pairs, in turns, and in the others one gateway asks the other, over every link."""
    sampled_groups: int = 2
    """How many groups of three remote clusters the workers of one cluster ask in one epoch, where pairs are
    sampled."""
    degree: int = 2
    """k of the circulant: how many nodes of its own cluster each node asks per epoch."""
    variant_share: float = 0.25
    """Share of pairs that also get the TCP, large and IPv6 variants, where the mesh is not full."""
    burst: int = 3
    """ICMP and UDP probes per check and interval; loss shows in less time with more of them."""
    flows: int = 4
    """How many more UDP flows a pair gets per epoch where routers spread flows over several ways."""
    timeout_ns: int = 500_000_000
    with_host_plane: bool = True
    """Ask from the host plane as well; it tells a CNI fault from a node fault."""
    agent_budget: int | None = None
    """The most probes per interval one agent sends; None for no limit."""
    cluster_budget: int | None = None
    """The most probes per interval all agents of one cluster send; None for no limit."""
    tunnel_budget: int | None = None
    """The most probes per interval that cross one direction of a tunnel or link; None for no limit."""

    def __post_init__(self) -> None:
        for name in ("agent_budget", "cluster_budget", "tunnel_budget"):
            budget = getattr(self, name)
            if budget is not None and budget < 1:
                raise InputError(f"{budget} is no number of probes", where=name.replace("_", " "))
