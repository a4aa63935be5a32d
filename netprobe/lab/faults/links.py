"""Faults of the links between clusters.

Rule: packets from c to d are dropped on arrival at d's gateway, because a drop in the output path would
return EPERM to the sender, and the fault must be silent. Neighbour discovery is not dropped, as the other
direction of a direct link would fail too.
"""

from __future__ import annotations

from netprobe.lab.faults.base import Arguments, FaultKind, FaultPlan, NftTable, Parameter, PeerGone
from netprobe.lab.plan import Tunnel
from netprobe.model.component import Component, tunnel
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth

_ONE = Parameter("source", "CLUSTER")
_OTHER = Parameter("target", "CLUSTER")
_LARGE = 1000  # bytes of the inner IP packet


def _both(link: Tunnel) -> tuple[Component, ...]:
    one, other = link.source.cluster, link.target.cluster
    return (tunnel(one, other), tunnel(other, one))


def drop_arriving(link: Tunnel, *, target: str, what: str = "") -> NftTable:
    """Drop inner packets that match *what* on arrival in the cluster *target*."""
    end = link.end(target)
    return NftTable(
        end.gateway,
        " chain arriving {\n"
        "  type filter hook prerouting priority raw; policy accept\n"
        "  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
        f'  iifname "{end.interface}" {what} drop\n'
        " }",
    )


def _plan_down(arguments: Arguments) -> FaultPlan:
    link = arguments.tunnel("source", "target")
    end = link.end(arguments.text("source"))
    return FaultPlan(GroundTruth(Cause.TUNNEL_DOWN, _both(link)), (PeerGone(end.gateway, end.interface),))


def _plan_port_blocked(arguments: Arguments) -> FaultPlan:
    link = arguments.tunnel("source", "target")
    label = GroundTruth(Cause.TUNNEL_DOWN, _both(link))
    if not link.port:
        both = (link.source.cluster, link.target.cluster)
        return FaultPlan(label, tuple(drop_arriving(link, target=target) for target in both))
    outer = f"{{ {link.source.outer}, {link.target.outer} }}"
    rules = NftTable(
        f"{arguments.text('source')}/edge",
        " chain passing {\n"
        "  type filter hook forward priority filter; policy accept\n"
        f"  ip saddr {outer} ip daddr {outer} udp dport {link.port} drop\n"
        " }",
    )
    return FaultPlan(label, (rules,))


def _plan_lossy(arguments: Arguments) -> FaultPlan:
    link = arguments.tunnel("source", "target")
    percent = arguments.percent("percent")
    share = f"numgen random mod 100 < {percent}" if percent < 100 else ""
    both = (link.source.cluster, link.target.cluster)
    rules = tuple(drop_arriving(link, target=target, what=share) for target in both)
    return FaultPlan(GroundTruth(Cause.TUNNEL_LOSSY, _both(link)), rules)


def _plan_one_way(arguments: Arguments) -> FaultPlan:
    link = arguments.tunnel("source", "target")
    source, target = arguments.cluster("source").name, arguments.cluster("target").name
    label = GroundTruth(Cause.RETURN_PATH_DROPPED, (tunnel(source, target),))
    return FaultPlan(label, (drop_arriving(link, target=target),))


def _plan_black_hole(arguments: Arguments) -> FaultPlan:
    link = arguments.tunnel("source", "target")
    source, target = arguments.cluster("source").name, arguments.cluster("target").name
    label = GroundTruth(Cause.TUNNEL_MTU, (tunnel(source, target),))
    return FaultPlan(label, (drop_arriving(link, target=target, what=f"meta length > {_LARGE}"),))


TUNNEL_DOWN = FaultKind(
    "tunnel-down", "one end loses its peer; the outer addresses still answer", (_ONE, _OTHER), _plan_down
)
TUNNEL_PORT_BLOCKED = FaultKind(
    "tunnel-port-blocked",
    "a WAN router drops the tunnel's UDP port (on a direct link: everything)",
    (_ONE, _OTHER),
    _plan_port_blocked,
)
TUNNEL_LOSSY = FaultKind(
    "tunnel-lossy",
    "a share of the inner packets is lost, both ways",
    (_ONE, _OTHER, Parameter("percent", "1-100", "30")),
    _plan_lossy,
)
TUNNEL_ONE_WAY = FaultKind(
    "tunnel-one-way",
    "no packet gets from source to target; the other direction works",
    (_ONE, _OTHER),
    _plan_one_way,
)
MTU_BLACK_HOLE = FaultKind(
    "mtu-black-hole",
    f"packets larger than {_LARGE} bytes are silently dropped from source to target",
    (_ONE, _OTHER),
    _plan_black_hole,
)
