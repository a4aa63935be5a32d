"""Faults of gateways: source NAT, and delivery to the wrong pod."""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.lab.faults.base import Arguments, FaultKind, FaultPlan, NftTable, Parameter
from netprobe.lab.plan import pod_host
from netprobe.model.component import gateway_out
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth

_CLUSTER = Parameter("cluster", "CLUSTER")


def _plan_snat(arguments: Arguments) -> FaultPlan:
    cluster = arguments.cluster("cluster")
    gateway = arguments.gateway_host(cluster)
    ends = [link.end(cluster.name) for link in arguments.plan.tunnels if link.joins_any(cluster.name)]
    if not ends:
        raise InputError(f"{cluster.name} has no link", where="cluster")
    out = "{ " + ", ".join(f'"{end.interface}"' for end in ends) + " }"
    rules = [
        f"  oifname {out} {family} saddr {pods} snat {family} to {gateway.address('eth0', version)}"
        for family, pods, version in zip(("ip", "ip6"), cluster.pod_cidrs, (4, 6), strict=True)
    ]
    table = NftTable(gateway.name, _chain("leaving", "postrouting priority srcnat - 10", rules))
    label = GroundTruth(Cause.SNAT, (gateway_out(cluster.gateway),))
    return FaultPlan(label, (table,), forget_flows=(gateway.name,))


def _plan_wrong_peer(arguments: Arguments) -> FaultPlan:
    cluster, victim = arguments.cluster("cluster"), arguments.node("victim")
    if victim.cluster == cluster.name:
        raise InputError("the victim must be a node of another cluster", where="victim")
    if arguments.plan.find_tunnel(cluster.name, victim.cluster) is None:
        raise InputError(f"no link connects {cluster.name} and {victim.cluster}", where="victim")
    theirs, ours = arguments.plan.host(pod_host(victim)), arguments.plan.host(pod_host(cluster.gateway))
    rules = [
        f"  {family} daddr {theirs.address('eth0', version)} dnat {family} to {ours.address('eth0', version)}"
        for family, version in (("ip", 4), ("ip6", 6))
    ]
    chains = (("arriving", "prerouting priority dstnat - 10"), ("own", "output priority -110"))
    table = NftTable(str(cluster.gateway), "\n".join(_chain(name, hook, rules) for name, hook in chains))
    label = GroundTruth(Cause.WRONG_PEER, (gateway_out(cluster.gateway),))
    return FaultPlan(label, (table,), forget_flows=(str(cluster.gateway),))


def _chain(name: str, hook: str, rules: list[str]) -> str:
    return "\n".join([f" chain {name} {{", f"  type nat hook {hook}; policy accept", *rules, " }"])


SNAT = FaultKind(
    "snat",
    "the gateway replaces its pods' source addresses by its own towards other clusters",
    (_CLUSTER,),
    _plan_snat,
)
WRONG_PEER = FaultKind(
    "wrong-peer",
    "the gateway delivers packets for the victim's pod to its own pod (overlapping addresses)",
    (_CLUSTER, Parameter("victim", "CLUSTER/NODE")),
    _plan_wrong_peer,
)
