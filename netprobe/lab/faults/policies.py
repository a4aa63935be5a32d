"""Faults that look like a policy: a port dropped or rejected on one node."""

from __future__ import annotations

from functools import partial

from netprobe.lab.faults.base import Arguments, FaultKind, FaultPlan, NftTable, Parameter
from netprobe.model.component import firewall_rule
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth

_PARAMETERS = (Parameter("node", "CLUSTER/NODE"), Parameter("port", "tcp/N", "tcp/9771"))


def _plan(cause: Cause, verdict: str, arguments: Arguments) -> FaultPlan:
    node = arguments.node("node")
    protocol, port = arguments.port("port")
    match = f"{protocol} dport {port} {verdict}"
    # Only the node's own agents: requests of its pods to others pass. Pods are attached to pod0 and pod1.
    to_pods = f'oifname "pod*" {match}'
    chains = (("input", match), ("forward", to_pods), ("output", to_pods))
    body = "\n".join(
        f" chain at_{hook} {{\n  type filter hook {hook} priority filter; policy accept\n  {rule}\n }}"
        for hook, rule in chains
    )
    label = GroundTruth(cause, (firewall_rule(node, port=f"{protocol}/{port}"),))
    return FaultPlan(label, (NftTable(str(node), body),))


PORT_DROP = FaultKind(
    "port-drop",
    "a node silently drops a port of its agents; icmp and the other protocol pass",
    _PARAMETERS,
    partial(_plan, Cause.POLICY_DROP, "drop"),
)
PORT_REJECT = FaultKind(
    "port-reject",
    "a node rejects a port of its agents with ICMP admin-prohibited",
    _PARAMETERS,
    partial(_plan, Cause.POLICY_REJECT, "reject with icmpx admin-prohibited"),
)
