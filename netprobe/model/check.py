"""Probes, checks, plans, and the legs that a check's packets take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.component import Component
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeId


class Expectation(StrEnum):
    """What people expect of a check."""

    ALLOW = "allow"
    DENY = "deny"


class TargetKind(StrEnum):
    """Kind of the target at an address."""

    AGENT = "agent"
    NODE = "node"
    GATEWAY_OUTER = "gateway-outer"
    SERVICE = "service"
    ENDPOINT = "endpoint"
    DNS = "dns"
    OUTSIDE = "outside"


class Layer(StrEnum):
    """What a check exercises: its entry in the layered vector."""

    NODE = "node"
    """N: host plane to host plane."""
    POD = "pod"
    """P: pod to pod."""
    HOST_POD = "host-pod"
    """H: host plane to pod."""
    SERVICE = "service"
    """S: a service address."""
    ENDPOINT = "endpoint"
    """E: an endpoint of that service, asked directly."""
    DNS = "dns"
    OUTER = "outer"
    """Gateway to gateway on the outer addresses, below the tunnel."""
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Probe:
    """A question: a kind and its parameters. Each kind's module says which fields it reads."""

    kind: str
    port: int = 0
    """UDP or TCP destination port; 0 if the kind has none."""
    size: int = 0
    """Size of the whole IP packet in bytes; 0 for the kind's own minimum."""
    name: str = ""
    """DNS name, HTTP host or TLS server name."""
    timeout_ns: int = 800_000_000
    options: tuple[tuple[str, str], ...] = ()
    """Further parameters of the kind, sorted by key."""

    def option(self, key: str, default: str = "") -> str:
        """One of *options*, or *default*."""
        return dict(self.options).get(key, default)


@dataclass(frozen=True, slots=True)
class Target:
    """An address that can be asked, and what should answer there."""

    kind: TargetKind
    address: str
    name: str
    """Name and identity: ``cluster/node/plane``, ``cluster/namespace/service``, ``cluster/dns``.

    What it names is asked of the target: `cluster`, `agent`, `service_name`.
    """
    node: NodeId | None = None
    """The node behind the address, if there is exactly one."""

    @property
    def cluster(self) -> ClusterName | None:
        """The cluster it is in; None outside the fleet."""
        if self.node is not None:
            return self.node.cluster
        return None if self.kind is TargetKind.OUTSIDE else ClusterName(self.name.partition("/")[0])

    @property
    def agent(self) -> AgentId | None:
        """The agent that should answer; None if the address belongs to no agent."""
        return AgentId.find(self.name) if self.kind is TargetKind.AGENT else None

    @property
    def service_name(self) -> str:
        """The service (``namespace/name``), also of one of its endpoints; empty where it is none."""
        is_service = self.kind in {TargetKind.SERVICE, TargetKind.ENDPOINT}
        return "/".join(self.name.split("/")[1:3]) if is_service else ""


@dataclass(frozen=True, slots=True)
class Check:
    """A probe from one agent to one target, asked in every round, with its expectation."""

    id: CheckId
    source: AgentId
    target: Target
    probe: Probe
    layer: Layer
    count: int = 1
    """Probes per interval, spread over it."""
    expect: Expectation | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All checks of one agent for one epoch."""

    agent: AgentId
    epoch: int
    checks: tuple[Check, ...]
    interval_ns: int
    """Every check is asked *count* times per interval; a window covers one interval."""
    cookie_key: bytes = b""
    """The one key of a whole fleet, of previous builds and for their agents; else empty."""
    peers: tuple[tuple[AgentId, tuple[str, ...]], ...] = ()
    """Agents this one may answer, with their addresses."""
    askable: tuple[str, ...] = ()
    """CIDRs that on-demand checks may ask: those of the inventory and its allowed targets."""
    bus: tuple[str, ...] = ()
    """Addresses (``IP:PORT``) of the bus itself, independent of DNS and services, which checks test."""
    own_keys: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    """Under which names this agent answers, its own first, then services; and with which keys: those of the
    current, the next and the last key epoch (:mod:`netprobe.wire.pair_keys`)."""
    target_keys: tuple[tuple[str, bytes], ...] = ()
    """The key for each agent or service that this one may ask."""


@dataclass(frozen=True, slots=True)
class Legs:
    """The components that a check's packets cross, out and back separately."""

    check: CheckId
    forward: tuple[Component, ...]
    back: tuple[Component, ...]
    forward_others: tuple[tuple[Component, ...], ...] = ()
    """Further possible paths, if routers choose one of several by a hash of the flow (ECMP). A flow stays on
    one of them; which one is not known."""
    back_others: tuple[tuple[Component, ...], ...] = ()

    @property
    def ways_out(self) -> tuple[tuple[Component, ...], ...]:
        """Every path that the check's packets may take to the target."""
        return (self.forward, *self.forward_others)

    @property
    def ways_back(self) -> tuple[tuple[Component, ...], ...]:
        """Every path that the answers may take."""
        return (self.back, *self.back_others)

    @property
    def is_one_of_several(self) -> bool:
        """Whether it is unknown which of several paths the packets take, out or back."""
        return bool(self.forward_others or self.back_others)

    @property
    def crossed(self) -> tuple[Component, ...]:
        """Everything that the packets may cross, out first; a component of both legs is listed twice."""
        if not self.is_one_of_several:
            return (*self.forward, *self.back)
        return (*_union(self.ways_out), *_union(self.ways_back))

    @property
    def surely_out(self) -> frozenset[Component]:
        """Components that the packets cross on every possible path out."""
        return frozenset(self.forward).intersection(*self.forward_others)

    @property
    def surely_back(self) -> frozenset[Component]:
        """Components that the answers cross on every possible path back."""
        return frozenset(self.back).intersection(*self.back_others)


def _union(paths: tuple[tuple[Component, ...], ...]) -> tuple[Component, ...]:
    return tuple(dict.fromkeys(part for path in paths for part in path))


def check_id(source: AgentId, target: Target, probe: Probe) -> CheckId:
    """Return the stable identifier of a question: equal questions have equal ids in every epoch."""
    target_key = (str(source), target.kind, target.address, target.name)
    probe_key = (probe.kind, probe.port, probe.size, probe.name, probe.options)
    digest = hashlib.blake2b(repr((target_key, probe_key)).encode(), digest_size=8).digest()
    return CheckId(int.from_bytes(digest, "big") >> 1)
