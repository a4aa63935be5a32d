"""Lists the ports that known fabrics need, and between whom; data, from each system's own documentation.

A prerequisite needs the *path*: it can be checked before the fabric is installed, before any process listens.
Ports of Kubernetes API servers and brokers are not here: an inventory does not name those addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.model.check import Expectation
from netprobe.model.intent import PortRange, Protocol, Requirements, Rule, Scope


@dataclass(frozen=True, slots=True)
class Need:
    """One row: *spans* from group to group."""

    spans: str
    sources: str
    targets: str
    scope: Scope


def _between_gateways(spans: str) -> Need:
    return Need(spans, "gateways", "gateways", Scope.ACROSS)


def _to_gateways(spans: str) -> Need:
    return Need(spans, "pods", "gateways", Scope.ACROSS)


def _between_nodes(spans: str, scope: Scope) -> Need:
    return Need(spans, "nodes", "nodes", scope)


SYSTEMS: dict[str, tuple[Need, ...]] = {
    # submariner.io, getting started; submariner pkg/port/ports.go
    "submariner": (
        _between_gateways("udp/4500 udp/4490 esp"),
        _between_nodes("udp/4800", Scope.WITHIN),
    ),
    # liqo deployments/liqo/values.yaml: WireGuard between gateways, Geneve node to gateway
    "liqo": (
        _between_gateways("udp/51840"),
        _between_nodes("udp/6091", Scope.WITHIN),
    ),
    # istio samples/multicluster: the east-west gateway
    "istio": (_to_gateways("tcp/15443 tcp/15008 tcp/15012 tcp/15017 tcp/15021"),),
    # linkerd-multicluster: the gateway's proxy and its probe port
    "linkerd": (_to_gateways("tcp/4143 tcp/4191"),),
    # consul: mesh gateways between clusters, gossip inside
    "consul": (
        _between_gateways("tcp/8443"),
        _between_nodes("tcp/8301 udp/8301", Scope.WITHIN),
    ),
    # cilium Documentation/operations/system_requirements.rst: VXLAN routing, WireGuard, health
    "cilium-clustermesh": (
        Need("tcp/2379", "nodes", "gateways", Scope.ACROSS),
        _between_nodes("udp/8472 udp/51871 tcp/4240 icmp", Scope.ANY),
    ),
    # kubernetes.io, "Ports and Protocols": kubelet API and kube-proxy's health
    "kubernetes-nodes": (_between_nodes("tcp/10250 tcp/10256", Scope.WITHIN),),
}


def expand_prerequisite(system: str, *, where: str) -> Iterator[Rule]:
    """The rules that *system* (a key of ``SYSTEMS``) needs."""
    for need in SYSTEMS[system]:
        yield Rule(
            name=f"{system} prerequisites",
            expected=Expectation.ALLOW,
            sources=(need.sources,),
            targets=(need.targets,),
            spans=tuple(_span(text) for text in need.spans.split()),
            scope=need.scope,
            needs=Requirements.PATH,
            where=where,
        )


def _span(text: str) -> PortRange:
    protocol, _, port = text.partition("/")
    return PortRange(Protocol(protocol), int(port or 0), int(port or 0))
