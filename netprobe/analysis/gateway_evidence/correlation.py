"""Evidence from several gateways together: what entered a tunnel and left it, and who is silent. Pure.

Rule: counters of the two ends are read at different moments, so rates are compared, and only a difference
that a few seconds cannot explain becomes a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from netprobe.analysis.gateway_evidence.statements import (
    SPEAKS_FOR,
    TUNNEL_CAUSES,
    GatewayReadings,
    Statement,
    count_bytes,
    leads_to,
)
from netprobe.model.component import Component, ComponentKind, Written
from netprobe.model.finding import Cause, Finding
from netprobe.model.gateway import TunnelPeer
from netprobe.model.inventory import Inventory, Node
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.prose import Prose

_MOST_OF_IT = 0.5
"""A tunnel that brings at least half of what was put in carries; readings are seconds apart."""
_LEAST_BYTES = 500
"""Below that it may be keepalives alone: 32 bytes each, a handshake 240 (WireGuard paper, section 5.4)."""


@dataclass(frozen=True, slots=True)
class PingResult:
    """Pings that one gateway sent another with its own ``ping``, between both readings."""

    source: str
    target: str
    """Both ``cluster/node``."""
    sent: int
    answered: int


@dataclass(frozen=True, slots=True)
class CrossEvidence:
    """What is known beside readings."""

    volley: PingResult | None = None
    silent: tuple[str, ...] = ()
    """Gateways that did not let us in and said nothing at all: no refusal, no wrong key."""


def find_correlated_statements(
    finding: Finding, witnesses: Sequence[GatewayReadings], *, inventory: Inventory, heard: CrossEvidence
) -> Iterator[Statement]:
    """What the gateways around a finding say together."""
    if finding.cause is Cause.RETURN_PATH_DROPPED:
        for part in finding.components:
            if part.kind is ComponentKind.TUNNEL:
                yield from _about_way(part, witnesses, inventory)
    if finding.cause is Cause.GATEWAY_DOWN and witnesses:
        yield from _about_silence(finding, heard.silent, others=len(witnesses))
    if heard.volley is not None:
        yield from _about_volley(finding, heard.volley)


def _about_way(
    way: Component, witnesses: Iterable[GatewayReadings], inventory: Inventory
) -> Iterator[Statement]:
    """Whether what goes into a tunnel comes out of it; if it does, what vanishes is dropped behind it."""
    went_in = _rate(way.cluster, way.target_cluster, witnesses, inventory, received=False)
    came_out = _rate(way.target_cluster, way.cluster, witnesses, inventory, received=True)
    if went_in is None or came_out is None or went_in.bytes < _LEAST_BYTES:
        return
    # Where nothing comes out, that end says so itself: see `gateways`.
    if came_out.per_s >= _MOST_OF_IT * went_in.per_s:
        told = f"{went_in.node}: {went_in.bytes:,} bytes went into the tunnel meanwhile"
        behind = f"{came_out.bytes:,} came out at {came_out.node}: what vanishes is dropped behind the tunnel"
        yield Statement(Prose(f"{told}, {behind}"), SPEAKS_FOR)


@dataclass(frozen=True, slots=True)
class _Rate:
    node: str
    bytes: int
    per_s: float


def _rate(
    here: ClusterName | None,
    there: ClusterName | None,
    witnesses: Iterable[GatewayReadings],
    inventory: Inventory,
    *,
    received: bool,
) -> _Rate | None:
    """What the gateway of *here* counted towards *there* between its two readings; None if uncounted."""
    far = inventory.find_cluster(there) if there else None
    for one in witnesses:
        if one.after.cluster != here or one.before is None or far is None:
            continue
        peers = [fact for fact in one.after.facts if isinstance(fact, TunnelPeer) and leads_to(fact, far)]
        seconds = (one.after.taken_ns - one.before.taken_ns) / 1e9
        if peers and seconds > 0:
            number = sum(count_bytes(one, peer)[received] for peer in peers)
            return _Rate(one.after.node, number, number / seconds)
    return None


def _about_silence(finding: Finding, silent: Iterable[str], *, others: int) -> Iterator[Statement]:
    names = {part.source for part in finding.components}
    for node in silent:
        if Written(node) in names:
            who = "1 other gateway lets" if others == 1 else f"{others} other gateways let"
            yield Statement(Prose(f"{node} does not answer over SSH, {who} us in"), SPEAKS_FOR)


def _about_volley(finding: Finding, volley: PingResult) -> Iterator[Statement]:
    """Answers contradict a dead way; their lack is a remark, for the kernel chose the source address."""
    told = (
        f"{volley.source}: {volley.answered} of its own {volley.sent} pings to {volley.target} were answered"
    )
    if volley.answered == volley.sent and finding.cause in TUNNEL_CAUSES:
        yield Statement(Prose(told), 1 / SPEAKS_FOR)
    else:
        yield Statement(Prose(told), 1)


@dataclass(frozen=True, slots=True)
class PingPlan:
    """From which gateway to which address a volley goes."""

    source: str
    target: str
    """Both ``cluster/node``."""
    address: str


def choose_ping_plan(finding: Finding, inventory: Inventory) -> PingPlan | None:
    """The pings that would cross what a finding calls broken; None where the inventory has no such path."""
    for part in finding.components:
        if part.kind is ComponentKind.TUNNEL:
            return _shot(inventory, part.cluster, part.target_cluster)
        name = part.cluster
        if part.kind in (ComponentKind.GATEWAY_IN, ComponentKind.GATEWAY_OUT, ComponentKind.FIREWALL_RULE):
            links = [link for link in inventory.links if name in (link.source, link.target)]
            others = [link.target if link.source == name else link.source for link in links]
            found = (_shot(inventory, other, name, node=part.node) for other in others)
            return next((shot for shot in found if shot is not None), None)
    return None


def _shot(
    inventory: Inventory, near: ClusterName, far: ClusterName | None, *, node: NodeId | None = None
) -> PingPlan | None:
    source = inventory.find_cluster(near)
    target = inventory.find_cluster(far) if far else None
    if source is None or target is None or not source.gateways:
        return None
    aims = [one for one in target.nodes if target.node_id(one) == node] or list(target.gateways)
    for aim in aims:
        if address := _inner_address(aim):
            return PingPlan(str(source.node_id(source.gateways[0])), str(target.node_id(aim)), address)
    return None


def _inner_address(node: Node) -> str:
    """An address of *node* that lies beyond its tunnel; empty where the inventory has none."""
    addresses = (*node.pod_addresses, *node.host_addresses)
    return next((one for one in addresses if one not in node.outer_addresses), "")
