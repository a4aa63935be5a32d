"""What is asked: probes, checks, plans, and the legs a check's packets take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.component import Component
from netprobe.model.names import AgentId, CheckId, NodeId


class Expectation(StrEnum):
    """What people say should happen."""

    ALLOW = "allow"
    DENY = "deny"


class TargetKind(StrEnum):
    """What stands at the address that is asked."""

    AGENT = "agent"
    NODE = "node"
    GATEWAY_OUTER = "gateway-outer"
    SERVICE = "service"
    ENDPOINT = "endpoint"
    DNS = "dns"
    OUTSIDE = "outside"


class Layer(StrEnum):
    """Which entry of the layered vector a check fills (science: what a layered vector means)."""

    NODE = "node"
    """N: host plane to host plane."""
    POD = "pod"
    """P: pod to pod."""
    HOST_POD = "host-pod"
    """H: host plane to pod."""
    SERVICE = "service"
    """S: a service address."""
    ENDPOINT = "endpoint"
    """E: that service's endpoint, asked directly."""
    DNS = "dns"
    OUTER = "outer"
    """Gateway to gateway on the outer addresses, below the tunnel."""
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Probe:
    """The question: a kind and its parameters. Each kind's file says which fields it reads."""

    kind: str
    port: int = 0
    """UDP or TCP destination port; 0 where the kind has none."""
    size: int = 0
    """Size of the whole IP packet in bytes; 0 for the kind's own minimum."""
    name: str = ""
    """DNS name asked, HTTP host, TLS server name."""
    timeout_ns: int = 800_000_000
    options: tuple[tuple[str, str], ...] = ()
    """Further parameters of the kind, sorted by key."""

    def option(self, key: str, default: str = "") -> str:
        """One of *options*, or *default*."""
        return dict(self.options).get(key, default)


@dataclass(frozen=True, slots=True)
class Target:
    """An address that can be asked, and who should answer there."""

    kind: TargetKind
    address: str
    name: str
    """For people and for identity: ``cluster/node/plane``, ``cluster/namespace/service``, ``cluster/dns``."""
    node: NodeId | None = None
    """The node behind the address, where there is exactly one."""


@dataclass(frozen=True, slots=True)
class Check:
    """A probe from one agent to one target, repeated, with what is expected."""

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
    cookie_key: bytes
    """Keys the cookies of requests and answers, so that strangers are neither believed nor answered."""
    peers: tuple[tuple[AgentId, tuple[str, ...]], ...] = ()
    """Agents this one may answer, with their addresses."""
    askable: tuple[str, ...] = ()
    """CIDRs of what may be asked on demand beside the checks: the inventory and its allowed targets."""
    bus: tuple[str, ...] = ()
    """Addresses (``IP:PORT``) of the bus itself, behind no name and no service that checks are about."""


@dataclass(frozen=True, slots=True)
class Legs:
    """The components a check's packets cross, forward and return apart."""

    check: CheckId
    forward: tuple[Component, ...]
    back: tuple[Component, ...]
    forward_others: tuple[tuple[Component, ...], ...] = ()
    """The ways beside *forward* where routers choose one of several equal ones by a hash of each flow (ECMP).
    A flow keeps to one of them all the time, and nobody knows to which."""
    back_others: tuple[tuple[Component, ...], ...] = ()

    @property
    def ways_out(self) -> tuple[tuple[Component, ...], ...]:
        """Every way that the check's packets may take to the target."""
        return (self.forward, *self.forward_others)

    @property
    def ways_back(self) -> tuple[tuple[Component, ...], ...]:
        """Every way that the answers may take."""
        return (self.back, *self.back_others)

    @property
    def is_one_of_several(self) -> bool:
        """Whether nobody knows which way the packets take, out or back."""
        return bool(self.forward_others or self.back_others)

    @property
    def crossed(self) -> tuple[Component, ...]:
        """Everything that the packets may cross, out first; what both directions cross stands twice."""
        if not self.is_one_of_several:
            return (*self.forward, *self.back)
        return (*_together(self.ways_out), *_together(self.ways_back))

    @property
    def surely_out(self) -> frozenset[Component]:
        """What the packets cross on their way out, whichever way they take."""
        return frozenset(self.forward).intersection(*self.forward_others)

    @property
    def surely_back(self) -> frozenset[Component]:
        """What the answers cross, whichever way they take."""
        return frozenset(self.back).intersection(*self.back_others)


def _together(ways: tuple[tuple[Component, ...], ...]) -> tuple[Component, ...]:
    return tuple(dict.fromkeys(part for way in ways for part in way))


def check_id(source: AgentId, target: Target, probe: Probe) -> CheckId:
    """Return the stable identifier of a question: equal questions have equal ids in every epoch."""
    asked = (str(source), target.kind, target.address, target.name)
    how = (probe.kind, probe.port, probe.size, probe.name, probe.options)
    digest = hashlib.blake2b(repr((asked, how)).encode(), digest_size=8).digest()
    return CheckId(int.from_bytes(digest, "big") >> 1)
