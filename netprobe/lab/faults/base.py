"""Types of fault injection: kinds, parameters, ground truth, and actions with their inverse.

Rule: a fault is planned as data by a pure function of the lab's plan; :mod:`netprobe.lab.faults.injector`
executes and reverts the actions.
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
    """Rules in a separate nftables table (``inet``); the inverse deletes the table."""

    host: str
    body: str


@dataclass(frozen=True, slots=True)
class NftChange:
    """A change of existing rules, and the script that reverts it."""

    host: str
    script: str
    undo: str


@dataclass(frozen=True, slots=True)
class LinksDown:
    """Interfaces set down; the inverse sets them up and configures the host again."""

    host: str
    interfaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoutesGone:
    """A host without its routes to these ranges."""

    host: str
    ranges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerGone:
    """A tunnel end on this interface without its peer."""

    host: str
    interface: str


@dataclass(frozen=True, slots=True)
class Killed:
    """A killed process; the inverse restarts it."""

    process: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """A stopped process (SIGSTOP); the inverse resumes it."""

    process: str


@dataclass(frozen=True, slots=True)
class ZoneDenied:
    """A cluster's DNS server that denies a zone."""

    cluster: str
    zone: str


Action = NftTable | NftChange | LinksDown | RoutesGone | PeerGone | Killed | Frozen | ZoneDenied


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The actions of one fault, and its ground truth."""

    label: GroundTruth
    actions: tuple[Action, ...]
    forget_flows: tuple[str, ...] = ()
    """Hosts whose connection tracking is flushed after the actions and after their inverse, so that the new
    rules apply to known flows too (kube-proxy does the same for UDP when endpoints are removed)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a kind; *default* is None if it is required."""

    name: str
    what: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Arguments:
    """The validated parameters of one fault, with methods that parse them."""

    plan: LabPlan
    texts: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The parameter as text."""
        return self.texts[name]

    def cluster(self, name: str) -> PlannedCluster:
        """The cluster a parameter names."""
        found = self.plan.find_cluster(self.texts[name])
        if found is None:
            known = ", ".join(cluster.name for cluster in self.plan.clusters)
            raise InputError(f"unknown cluster {self.texts[name]!r}; choose one of {known}", where=name)
        return found

    def node(self, name: str) -> NodeId:
        """The node a parameter names."""
        node = _read(NodeId.parse, self.texts[name], name)
        known = [other for cluster in self.plan.clusters for other in cluster.nodes]
        if node not in known:
            raise InputError(
                f"unknown node {self.texts[name]!r}; choose one of {', '.join(map(str, known))}", where=name
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
            raise InputError(f"no link connects {source.name} and {target.name}", where=f"{one}, {other}")
        return found

    def percent(self, name: str) -> int:
        """A share in percent, 1–100."""
        text = self.texts[name]
        if not text.isdigit() or not 1 <= int(text) <= 100:
            raise InputError(f"{text!r} is not a percentage from 1 to 100", where=name)
        return int(text)

    def port(self, name: str) -> tuple[str, int]:
        """A port as ``tcp/9771``."""
        protocol, _, number = self.texts[name].partition("/")
        if protocol not in ("tcp", "udp") or not number.isdigit() or not 1 <= int(number) <= 65535:
            raise InputError(f"{self.texts[name]!r} is not a port such as tcp/9771", where=name)
        return protocol, int(number)

    def service(self, cluster: PlannedCluster, name: str) -> PlannedService:
        """The service of *cluster* a parameter names as ``namespace/name``."""
        found = next((each for each in cluster.services if each.qualified == self.texts[name]), None)
        if found is None:
            known = ", ".join(each.qualified for each in cluster.services) or "none"
            raise InputError(
                f"unknown service {self.texts[name]!r} of {cluster.name}; choose one of: {known}", where=name
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
    """One kind of fault: an entry of the registry."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    plan: Callable[[Arguments], FaultPlan]

    def read(self, plan: LabPlan, given: Mapping[str, str]) -> Arguments:
        """Validate the names of the parameters and fill in defaults."""
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
