"""The words of fault injection: a kind, its parameters, its label, and actions that know their inverse.

Rule: a fault is planned as data, by a pure function of the lab's plan; :mod:`netprobe.lab.faults.injector`
carries the actions out and takes them back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from netprobe.errors import InputError
from netprobe.lab.plan import LabHost, LabPlan, PlannedCluster, PlannedService, Tunnel
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import AgentId, NodeId

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NftTable:
    """Rules in an nftables table of their own (``inet``); the inverse deletes the table."""

    host: str
    body: str


@dataclass(frozen=True, slots=True)
class NftChange:
    """A change of rules that stand there anyway, and the script that changes them back."""

    host: str
    script: str
    undo: str


@dataclass(frozen=True, slots=True)
class LinksDown:
    """Interfaces taken down; the inverse raises them and numbers the host again."""

    host: str
    interfaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoutesGone:
    """A host loses its routes to these ranges."""

    host: str
    ranges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The tunnel end on this interface forgets its peer."""

    host: str
    interface: str


@dataclass(frozen=True, slots=True)
class Killed:
    """A process is killed; the inverse starts it again."""

    process: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """A process is stopped (SIGSTOP); the inverse lets it go on."""

    process: str


@dataclass(frozen=True, slots=True)
class ZoneDenied:
    """A cluster's DNS server does not know a zone any more."""

    cluster: str
    zone: str


Action = NftTable | NftChange | LinksDown | RoutesGone | PeerGone | Killed | Frozen | ZoneDenied


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What one fault does, and what it must be called."""

    label: GroundTruth
    actions: tuple[Action, ...]
    forget_flows: tuple[str, ...] = ()
    """Hosts whose connection tracking is emptied after doing and undoing, so that flows that are known
    already meet the new rules (kube-proxy does the same for UDP when endpoints go)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a kind; *default* is None where it must be given."""

    name: str
    what: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parameters of one fault, checked against its kind, with helpers that read them."""

    plan: LabPlan
    texts: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The parameter as it was given."""
        return self.texts[name]

    def cluster(self, name: str) -> PlannedCluster:
        """The cluster a parameter names."""
        found = self.plan.find_cluster(self.texts[name])
        if found is None:
            known = ", ".join(cluster.name for cluster in self.plan.clusters)
            raise InputError(f"unknown cluster {self.texts[name]!r}; there are {known}", where=name)
        return found

    def node(self, name: str) -> NodeId:
        """The node a parameter names."""
        node = _read(NodeId.parse, self.texts[name], name)
        known = [other for cluster in self.plan.clusters for other in cluster.nodes]
        if node not in known:
            raise InputError(
                f"unknown node {self.texts[name]!r}; there are {', '.join(map(str, known))}", where=name
            )
        return node

    def agent(self, name: str) -> AgentId:
        """The agent a parameter names."""
        agent = _read(AgentId.parse, self.texts[name], name)
        if self.plan.find_host(str(agent.node_id)) is None:
            raise InputError(f"unknown agent {self.texts[name]!r}", where=name)
        return agent

    def tunnel(self, one: str, other: str) -> Tunnel:
        """The link between the clusters two parameters name."""
        source, target = self.cluster(one), self.cluster(other)
        found = self.plan.find_tunnel(source.name, target.name)
        if found is None:
            raise InputError(f"no link joins {source.name} and {target.name}", where=f"{one}, {other}")
        return found

    def percent(self, name: str) -> int:
        """A share in percent, 1–100."""
        text = self.texts[name]
        if not text.isdigit() or not 1 <= int(text) <= 100:
            raise InputError(f"{text!r} is not a whole number of percent, 1-100", where=name)
        return int(text)

    def port(self, name: str) -> tuple[str, int]:
        """A port as ``tcp/9771``."""
        protocol, _, number = self.texts[name].partition("/")
        if protocol not in ("tcp", "udp") or not number.isdigit() or not 1 <= int(number) <= 65535:
            raise InputError(f"{self.texts[name]!r} is not like tcp/9771", where=name)
        return protocol, int(number)

    def service(self, cluster: PlannedCluster, name: str) -> PlannedService:
        """The service of *cluster* a parameter names as ``namespace/name``."""
        found = next((one for one in cluster.services if one.qualified == self.texts[name]), None)
        if found is None:
            known = ", ".join(one.qualified for one in cluster.services) or "none"
            raise InputError(
                f"unknown service {self.texts[name]!r} of {cluster.name}; there is {known}", where=name
            )
        return found

    def gateway_host(self, cluster: PlannedCluster) -> LabHost:
        """The host of a cluster's gateway."""
        return self.plan.host(str(cluster.gateway))


def _read(parse: Callable[[str], T], text: str, name: str) -> T:
    try:
        return parse(text)
    except InputError as error:
        raise InputError(error.what, where=name) from error


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One line of the registry."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    plan: Callable[[Arguments], FaultPlan]

    def read(self, plan: LabPlan, given: Mapping[str, str]) -> Arguments:
        """Check the names of the parameters and fill in defaults."""
        known = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise InputError(f"{self.name} has no parameter {name!r}; it has {', '.join(sorted(known))}")
        texts = {}
        for parameter in self.parameters:
            text = given.get(parameter.name, parameter.default)
            if text is None:
                raise InputError(f"{self.name} needs {parameter.name}={parameter.what}")
            texts[parameter.name] = text
        return Arguments(plan, texts)
