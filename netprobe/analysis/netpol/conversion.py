"""From manifests' documents to values: defaults filled in, and the API server's checks of a NetworkPolicy.

Source: ``ValidateNetworkPolicySpec`` and ``SetDefaults_NetworkPolicy`` as the API reference words them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from netprobe.analysis.netpol.policy import (
    MAX_PORT,
    BlockPeer,
    ContainerPort,
    Direction,
    NamedPort,
    Network,
    Operator,
    Peer,
    PodPeer,
    Policy,
    PolicyPod,
    PolicyPortRange,
    PolicyProtocol,
    PolicyRule,
    Requirement,
    Selector,
)
from netprobe.errors import InputError
from netprobe.wire.documents import Located
from netprobe.wire.networkpolicy import (
    BlockDoc,
    ContainerDoc,
    EgressDoc,
    IngressDoc,
    PeerDoc,
    PodDoc,
    PolicyDoc,
    PolicySpecDoc,
    PortDoc,
    RequirementDoc,
    SelectorDoc,
    TransportName,
)

_PORT_NAME = re.compile(r"(?=.{1,15}\Z)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
"""IANA service name, RFC 6335 section 5.1, in lower case."""
_DEFAULT_NAMESPACE = "default"

Step = str | int
At = tuple[Step, ...]


def read_pod(document: PodDoc) -> PolicyPod:
    """A pod as policies see it; raises :class:`ValueError` for an address that is none."""
    meta, spec, status = document.metadata, document.spec, document.status
    texts = [each.ip for each in (status.pod_ips if status else None) or ()]
    if not texts and status and status.pod_ip:
        texts = [status.pod_ip]
    return PolicyPod(
        namespace=meta.namespace or _DEFAULT_NAMESPACE,
        name=meta.name,
        labels=tuple(sorted((meta.labels or {}).items())),
        addresses=tuple(ipaddress.ip_address(text) for text in texts),
        ports=tuple(
            ContainerPort(_transport(port.protocol), port.container_port, port.name or "")
            for container in _running(document)
            for port in container.ports or ()
        ),
        node=spec.node_name or "",
        host_network=bool(spec.host_network),
    )


def _running(document: PodDoc) -> Iterator[ContainerDoc]:
    yield from document.spec.containers
    for container in document.spec.init_containers or ():
        if container.restart_policy == "Always":
            yield container


def _transport(name: TransportName | None) -> PolicyProtocol:
    return PolicyProtocol((name or "TCP").lower())


class PolicyReader:
    """Turns one document into a policy; knows where each field stands."""

    def __init__(self, located: Located, at: At) -> None:
        self._located, self._at = located, at

    def read(self, document: PolicyDoc) -> Policy:
        """The policy; raises :class:`InputError` where the API server would refuse it."""
        meta, spec, at = document.metadata, document.spec, ("spec",)
        return Policy(
            namespace=meta.namespace or _DEFAULT_NAMESPACE,
            name=meta.name,
            pods=self._selector(spec.pod_selector or SelectorDoc(), (*at, "podSelector")),
            directions=_directions(spec),
            ingress=tuple(
                self._rule(rule, (*at, "ingress", index), "from")
                for index, rule in enumerate(spec.ingress or ())
            ),
            egress=tuple(
                self._rule(rule, (*at, "egress", index), "to") for index, rule in enumerate(spec.egress or ())
            ),
        )

    def _rule(self, rule: IngressDoc | EgressDoc, at: At, peers: str) -> PolicyRule:
        return PolicyRule(
            tuple(self._peer(peer, (*at, peers, index)) for index, peer in enumerate(rule.peers or ())),
            tuple(self._port(port, (*at, "ports", index)) for index, port in enumerate(rule.ports or ())),
        )

    def _peer(self, peer: PeerDoc, at: At) -> Peer:
        pods, namespaces, block = peer.pod_selector, peer.namespace_selector, peer.ip_block
        if block is not None:
            if pods is not None or namespaces is not None:
                raise self._error("ipBlock stands alone, without selectors", *at)
            return self._block(block, (*at, "ipBlock"))
        if pods is None and namespaces is None:
            raise self._error("names neither podSelector, namespaceSelector nor ipBlock", *at)
        return PodPeer(
            None if pods is None else self._selector(pods, (*at, "podSelector")),
            None if namespaces is None else self._selector(namespaces, (*at, "namespaceSelector")),
        )

    def _block(self, block: BlockDoc, at: At) -> BlockPeer:
        network = self._network(block.cidr, (*at, "cidr"))
        excepts = []
        for index, text in enumerate(block.excepts or ()):
            here = (*at, "except", index)
            inner = self._network(text, here)
            lies_in = inner.version == network.version and inner.network_address in network
            if not lies_in or inner.prefixlen <= network.prefixlen:
                raise self._error(f"{text} is not a smaller part of {block.cidr}", *here)
            excepts.append(inner)
        return BlockPeer(network, tuple(excepts))

    def _network(self, text: str, at: At) -> Network:
        error = self._error(f"{text!r} is not a network such as 10.0.0.0/16", *at)
        if "/" not in text:
            raise error
        try:
            return ipaddress.ip_network(text, strict=False)
        except ValueError as cause:
            raise error from cause

    def _port(self, port: PortDoc, at: At) -> PolicyPortRange | NamedPort:
        transport = _transport(port.protocol)
        match port.port:
            case None | str() if port.end_port is not None:
                raise self._error("goes only with a port given as a number", *at, "endPort")
            case None:
                return PolicyPortRange(transport)
            case str(name):
                if not _PORT_NAME.fullmatch(name):
                    raise self._error(f"{name!r} is neither a number nor a port's name", *at, "port")
                return NamedPort(transport, name)
            case int(first):
                last = first if port.end_port is None else port.end_port
                self._expect_port(first, (*at, "port"))
                self._expect_port(last, (*at, "endPort"))
                if last < first:
                    raise self._error(f"{last} comes before port {first}", *at, "endPort")
                return PolicyPortRange(transport, first, last)

    def _expect_port(self, number: int, at: At) -> None:
        if not 1 <= number <= MAX_PORT:
            raise self._error(f"{number}: a port is within 1–{MAX_PORT}", *at)

    def _selector(self, selector: SelectorDoc, at: At) -> Selector:
        labels = sorted((selector.match_labels or {}).items())
        expressions = enumerate(selector.match_expressions or ())
        return Selector((
            *(Requirement(key, Operator.IN, frozenset({value})) for key, value in labels),
            *(self._requirement(each, (*at, "matchExpressions", index)) for index, each in expressions),
        ))  # fmt: skip

    def _requirement(self, document: RequirementDoc, at: At) -> Requirement:
        operator, values = Operator(document.operator), frozenset(document.values or ())
        if (operator in {Operator.IN, Operator.NOT_IN}) is not bool(values):
            wants = "no values" if values else "at least one value"
            raise self._error(f"{operator} takes {wants}", *at, "values")
        return Requirement(document.key, operator, values)

    def _error(self, what: str, *at: Step) -> InputError:
        return self._located.error(what, *self._at, *at)


def _directions(spec: PolicySpecDoc) -> frozenset[Direction]:
    """Unsaid, a policy is about ingress, and about egress where it has an egress rule."""
    if spec.policy_types:
        return frozenset(Direction(each.lower()) for each in spec.policy_types)
    return frozenset({Direction.INGRESS, *([Direction.EGRESS] if spec.egress else [])})
