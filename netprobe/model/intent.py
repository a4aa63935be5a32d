"""An intent: what should be reachable and what must not be, as groups, rules and cells.

Rule: an intent describes what people want, never what was measured. Groups are kept as written; the endpoints
they contain are resolved against an inventory (``analysis.intent``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from netprobe.model.check import Expectation
from netprobe.model.names import AgentId, ClusterName
from netprobe.model.prose import Prose

BUILT_IN_GROUPS = ("all", "gateways", "nodes", "pods", "services")
"""Groups that always exist: every endpoint; host plane of gateways and of nodes; pod plane; services."""


class Protocol(StrEnum):
    """Protocol of a port spec; ``icmp`` and ``esp`` have no ports."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"
    ICMP = "icmp"
    ESP = "esp"


class LocateDrops(StrEnum):
    """Whose drops are walked to the hop that drops them."""

    DIFFERING = "differing"
    """Those that are not as intended."""
    ALL = "all"
    NONE = "none"


class Scope(StrEnum):
    """The pairs of endpoints to which a rule applies."""

    ANY = "any"
    WITHIN = "within"
    """Both ends in the same cluster."""
    ACROSS = "across"
    """The ends in different clusters."""


class Requirements(StrEnum):
    """What makes a port count as reachable."""

    LISTENER = "listener"
    """A process must answer; a refused connection is not enough."""
    PATH = "path"
    """The path must be open; a refusal by the host itself proves that it is."""


class RulePriority(IntEnum):
    """Priority of rules: if several apply to a cell, the lowest value decides."""

    EXCEPTION = 0
    RULE = 1
    ENTRY_POINT = 2
    PATTERN = 3
    DEFAULT = 4


@dataclass(frozen=True, slots=True, order=True)
class PortSpec:
    """A protocol and a port; port 0 if the protocol has none."""

    protocol: Protocol
    port: int = 0

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port}" if self.port else str(self.protocol)


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Consecutive ports of one protocol, both ends included; 0–0 if the protocol has none."""

    protocol: Protocol
    first: int = 0
    last: int = 0

    def overlaps(self, other: PortRange) -> bool:
        """Whether the two ranges share a port."""
        return self.protocol is other.protocol and self.first <= other.last and other.first <= self.last

    def port_specs(self) -> tuple[PortSpec, ...]:
        """Every port of the range, in order."""
        return tuple(PortSpec(self.protocol, port) for port in range(self.first, self.last + 1))

    def __str__(self) -> str:
        if not self.last:
            return str(self.protocol)
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol}/{ports}"


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints by their properties: every given field must match, by any one of its values."""

    name: str
    clusters: tuple[str, ...] = ()
    """Names, with the wildcards ``*`` and ``?``, as in every text field."""
    environments: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """``namespace/name``."""
    labels: tuple[tuple[str, str], ...] = ()
    """All must match; a node has ``kubernetes.io/hostname`` and ``topology.kubernetes.io/zone``."""
    cidrs: tuple[str, ...] = ()
    where: str = ""
    """``file:line:column`` for messages."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement: from any of *sources* to any of *targets*, on *spans*."""

    name: str
    expected: Expectation
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    spans: tuple[PortRange, ...]
    """Empty: the default ports of the intent (``Intent.ports``)."""
    rank: RulePriority = RulePriority.RULE
    scope: Scope = Scope.ANY
    needs: Requirements = Requirements.LISTENER
    owner: str = ""
    expires: str = ""
    """Last day on which an exception is valid, ``YYYY-MM-DD``."""
    where: str = ""
    """``file:line:column`` for messages."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A complete intent, with patterns and prerequisites expanded to rules."""

    groups: tuple[Group, ...] = ()
    rules: tuple[Rule, ...] = ()
    default: Expectation | None = None
    """Expectation of cells without a rule; None: such cells do not exist and are not asked."""
    ports: tuple[PortRange, ...] = ()
    """Ports of rules that name none."""
    responders: frozenset[PortSpec] = field(default_factory=frozenset)
    """UDP ports whose listeners always answer, so that silence is evidence."""
    families: tuple[int, ...] = (4, 6)
    """IP versions in order of preference: the first that both ends have is used; see ``every_family``."""
    every_family: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One expectation: *source* asks a port at *address*."""

    source: AgentId
    target: str
    """Name of the endpoint, as ``netprobe check`` accepts it."""
    address: str
    door: PortSpec
    expected: Expectation
    rule: str
    """Name of the rule that decided."""
    needs: Requirements = Requirements.LISTENER

    @property
    def target_cluster(self) -> str:
        """The cluster of the target; outside the fleet, its address."""
        return self.target.partition("/")[0]


class CellVerdict(StrEnum):
    """Result of comparing what was measured with what was intended."""

    AS_INTENDED = "as intended"
    BROKEN = "broken"
    """Should work, does not."""
    LEAK = "leak"
    """Must not work, does."""
    UNPROVEN = "unproven"
    """Not decidable: no control probe was answered, or it cannot be measured from here."""


class CellCause(StrEnum):
    """What was measured at a port; ``not-known`` if nothing can be said."""

    ANSWERED = "answered"
    PATH_FREE = "path-free"
    """The host itself refuses, and only the way was asked for."""
    REFUSED = "refused"
    REJECTED = "rejected"
    DROPPED = "dropped"
    MUTE = "mute"
    """Silence on UDP, where a listener may have nothing to say."""
    NOT_KNOWN = "not-known"

    @classmethod
    def _missing_(cls, _value: object) -> CellCause:
        """A newer build may know more causes."""
        return cls.NOT_KNOWN


@dataclass(frozen=True, slots=True)
class Deviation:
    """A deviation from a watched intent: one rule that is broken or leaks between two clusters."""

    verdict: CellVerdict
    """``broken`` or ``leak``."""
    source: ClusterName
    target: str
    """Cluster, or an address outside the fleet."""
    rule: str
    cells: int
    """Number of cells that differ."""
    example: Prose
    """One of the cells, as a sentence."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell and its verdict."""

    cell: Cell
    verdict: CellVerdict
    reason: Prose
    """What was measured, or why it could not be decided."""
    at: str = ""
    """What stopped it, if known: an address, or ``this host`` for the source itself."""
    between: tuple[str, ...] = ()
    """Location of a drop: the last hop that the packet reached and, if known, the first it did not."""
    cause: CellCause = CellCause.NOT_KNOWN
    """What was measured, for programs."""
