"""What a NetworkPolicy (``networking.k8s.io/v1``) and the pods it speaks about are.

Rule: absent and empty are never the same thing. An absent selector is ``None``, an empty one has no
requirements and fits everybody. The API's defaults (a port's protocol, ``policyTypes``) are filled in.
Source: the Kubernetes API reference, NetworkPolicy v1, and the concept page "Network Policies".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_PORT = 65_535


class Direction(StrEnum):
    """Seen from the pods that the policy selects."""

    EGRESS = "egress"
    INGRESS = "ingress"


class PolicyProtocol(StrEnum):
    """The protocols that a policy can name."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class Operator(StrEnum):
    """How a requirement compares; the names are the API's."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a selector; ``matchLabels`` become ``In`` with a single value."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def fits(self, labels: Labels) -> bool:
        """Whether *labels* keep it; ``NotIn`` fits an absent label, too."""
        value = dict(labels).get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must fit; without any, everybody does."""

    requirements: tuple[Requirement, ...] = ()

    def fits(self, labels: Labels) -> bool:
        """Whether *labels* keep every requirement."""
        return all(each.fits(labels) for each in self.requirements)


@dataclass(frozen=True, slots=True)
class BlockPeer:
    """``ipBlock``: the addresses of *network* that are in none of *excepts*."""

    network: Network
    excepts: tuple[Network, ...] = ()

    def holds(self, address: Address) -> bool:
        """Whether *address* is meant; another IP version never is."""
        return address in self.network and not any(address in each for each in self.excepts)


@dataclass(frozen=True, slots=True)
class PodPeer:
    """``podSelector`` and ``namespaceSelector`` of one peer; at least one is given."""

    pods: Selector | None = None
    """None: every pod of the namespaces."""
    namespaces: Selector | None = None
    """None: the policy's own namespace."""


Peer: TypeAlias = BlockPeer | PodPeer


@dataclass(frozen=True, slots=True)
class PolicyPortRange:
    """``port`` to ``endPort``, both included; every port where the policy names none."""

    transport: PolicyProtocol
    first: int = 1
    last: int = MAX_PORT


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A container port by name: each target says which number that is."""

    transport: PolicyProtocol
    name: str


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One entry of ``ingress`` or ``egress``: any peer on any port."""

    peers: tuple[Peer, ...] = ()
    """Empty: everybody, inside and outside of the cluster."""
    ports: tuple[PolicyPortRange | NamedPort, ...] = ()
    """Empty: every port of every protocol."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One NetworkPolicy."""

    namespace: str
    name: str
    pods: Selector
    directions: frozenset[Direction]
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()

    @property
    def qualified(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    def rules(self, direction: Direction) -> tuple[PolicyRule, ...]:
        """What is allowed in *direction*."""
        return self.ingress if direction is Direction.INGRESS else self.egress


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its labels."""

    name: str
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container declares."""

    transport: PolicyProtocol
    number: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class PolicyPod:
    """A pod, as far as policies see it."""

    namespace: str
    name: str
    labels: Labels = ()
    addresses: tuple[Address, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    node: str = ""
    host_network: bool = False

    @property
    def qualified(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    def address(self, version: int) -> Address | None:
        """The first address of IP *version*; None without one."""
        return next((each for each in self.addresses if each.version == version), None)
