"""From policies to verdicts: who may reach whom on which port, and which policy decided. Pure.

Rules, from the Kubernetes concept page "Network Policies":

1. A pod is isolated in a direction as soon as one policy with that direction selects it; else all is allowed.
2. Policies only add up: an isolated pod may do what any rule of any policy that selects it allows.
3. A way is free when the source's egress and the target's ingress both allow it.
4. A pod cannot shut itself out, and traffic to and from the pod's own node is always allowed.
5. Pods in the host network are no pods to policies: they are not selected, no selector finds them, and only
   ``ipBlock`` (or a rule without peers) speaks about their addresses. The API leaves this to the
   implementation; this is the reading that the concept page calls most common.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.analysis.netpol.policy import (
    BlockPeer,
    Direction,
    Labels,
    NamedPort,
    Namespace,
    Peer,
    PodPeer,
    Policy,
    PolicyPod,
    PolicyPortRange,
    PolicyProtocol,
    PolicyRule,
)
from netprobe.errors import InputError
from netprobe.model.check import Expectation

Door = tuple[PolicyProtocol, int]

MAX_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class PolicySide:
    """What one end's policies say about a way."""

    direction: Direction
    isolating: tuple[str, ...] = ()
    """Policies, as ``namespace/name``, that select this end; without any, it is open."""
    allowing: tuple[str, ...] = ()
    """Those of them that allow the way."""

    @property
    def is_open(self) -> bool:
        """Whether this end lets it pass."""
        return not self.isolating or bool(self.allowing)


@dataclass(frozen=True, slots=True)
class PolicyCell:
    """One verdict: *source* asks *target* on a port over one IP version."""

    source: PolicyPod
    target: PolicyPod
    version: int
    transport: PolicyProtocol
    port: int
    egress: PolicySide
    ingress: PolicySide

    @property
    def expected(self) -> Expectation:
        """What the policies say should happen."""
        return Expectation.ALLOW if self.egress.is_open and self.ingress.is_open else Expectation.DENY

    @property
    def deciding(self) -> tuple[PolicySide, ...]:
        """The end that denies, egress first as the packet meets it; or the ends at which a policy allows."""
        shut = tuple(side for side in (self.egress, self.ingress) if not side.is_open)
        return shut[:1] or tuple(side for side in (self.egress, self.ingress) if side.allowing)

    @property
    def reason(self) -> str:
        """Who decided, as a phrase: ``ingress by shop/deny-all``."""
        sides = [
            f"{side.direction} by {', '.join(side.allowing or side.isolating)}" for side in self.deciding
        ]
        return " and ".join(sides) or "no policy applies"


def derive(
    policies: Iterable[Policy],
    namespaces: Iterable[Namespace],
    pods: Iterable[PolicyPod],
    doors: Iterable[Door] = (),
) -> tuple[PolicyCell, ...]:
    """Every cell between *pods*: by source, target, IP version that both have, and port, sorted.

    The ports of a target are its container ports, every number that a policy names, and ``doors``.
    Raises :class:`InputError` where a pod's namespace is not among *namespaces*, and beyond ``MAX_CELLS``.
    """
    policies, pods = tuple(policies), tuple(pods)
    everywhere = {*doors, *_named_doors(policies)}
    asked = sum(len(everywhere) + len(pod.ports) for pod in pods) * len(pods)
    if asked > MAX_CELLS:
        raise InputError(f"{len(pods)} pods make {asked} cells, more than {MAX_CELLS}; name fewer of them")
    return tuple(_Derivation(policies, tuple(namespaces), everywhere).cells(pods))


def _named_doors(policies: tuple[Policy, ...]) -> Iterator[Door]:
    ports = (port for policy in policies for rule in (*policy.ingress, *policy.egress) for port in rule.ports)
    for port in ports:
        if isinstance(port, PolicyPortRange) and port != PolicyPortRange(port.transport):
            yield port.transport, port.first
            yield port.transport, port.last


class _Derivation:
    def __init__(
        self, policies: tuple[Policy, ...], namespaces: tuple[Namespace, ...], doors: set[Door]
    ) -> None:
        self._policies = sorted(policies, key=lambda each: each.qualified)
        self._labels = {each.name: each.labels for each in namespaces}
        self._doors = doors

    def cells(self, pods: tuple[PolicyPod, ...]) -> Iterator[PolicyCell]:
        pods = tuple(sorted(pods, key=lambda pod: pod.qualified))
        isolating = {(pod, way): self._isolating(pod, way) for pod in pods for way in Direction}
        for source in pods:
            for target in pods:
                out, into = isolating[source, Direction.EGRESS], isolating[target, Direction.INGRESS]
                if _is_always_free(source, target):
                    out = into = ()
                yield from self._pair(source, target, out, into)

    def _isolating(self, pod: PolicyPod, direction: Direction) -> tuple[Policy, ...]:
        self._labels_of(pod)
        if pod.host_network:
            return ()
        return tuple(
            policy
            for policy in self._policies
            if direction in policy.directions
            and policy.namespace == pod.namespace
            and policy.pods.fits(pod.labels)
        )

    def _pair(
        self, source: PolicyPod, target: PolicyPod, out: tuple[Policy, ...], into: tuple[Policy, ...]
    ) -> Iterator[PolicyCell]:
        doors = sorted(self._doors | {(port.transport, port.number) for port in target.ports})
        for version in (4, 6):
            if source.address(version) is None or target.address(version) is None:
                continue
            for door in doors:
                sides = (
                    self._side(Direction.EGRESS, out, target, target, version, door),
                    self._side(Direction.INGRESS, into, source, target, version, door),
                )
                yield PolicyCell(source, target, version, *door, *sides)

    def _side(
        self,
        direction: Direction,
        isolating: tuple[Policy, ...],
        other: PolicyPod,
        target: PolicyPod,
        version: int,
        door: Door,
    ) -> PolicySide:
        """*other* is the end that the peers speak about; named ports are always the target's."""
        allowing = [
            policy.qualified
            for policy in isolating
            if any(
                _has_door(rule, target, door) and self._has_peer(rule, policy, other, version)
                for rule in policy.rules(direction)
            )
        ]
        return PolicySide(direction, tuple(policy.qualified for policy in isolating), tuple(allowing))

    def _has_peer(self, rule: PolicyRule, policy: Policy, other: PolicyPod, version: int) -> bool:
        return not rule.peers or any(self._is_peer(peer, policy, other, version) for peer in rule.peers)

    def _is_peer(self, peer: Peer, policy: Policy, other: PolicyPod, version: int) -> bool:
        match peer:
            case BlockPeer():
                address = other.address(version)
                return address is not None and peer.holds(address)
            case PodPeer(pods, namespaces):
                if other.host_network or (pods is not None and not pods.fits(other.labels)):
                    return False
                if namespaces is None:
                    return other.namespace == policy.namespace
                return namespaces.fits(self._labels_of(other))

    def _labels_of(self, pod: PolicyPod) -> Labels:
        if pod.namespace not in self._labels:
            raise InputError(f"pod {pod.qualified}: its namespace is not given")
        return self._labels[pod.namespace]


def _is_always_free(source: PolicyPod, target: PolicyPod) -> bool:
    """Rule 4; pods in the host network have the node's own addresses."""
    on_one_node = bool(source.node) and source.node == target.node
    return source.qualified == target.qualified or (
        on_one_node and (source.host_network or target.host_network)
    )


def _has_door(rule: PolicyRule, target: PolicyPod, door: Door) -> bool:
    return not rule.ports or any(_is_door(port, target, door) for port in rule.ports)


def _is_door(port: PolicyPortRange | NamedPort, target: PolicyPod, door: Door) -> bool:
    transport, number = door
    match port:
        case PolicyPortRange():
            return port.transport is transport and port.first <= number <= port.last
        case NamedPort():
            return port.transport is transport and any(
                own.name == port.name and own.transport is transport and own.number == number
                for own in target.ports
            )
