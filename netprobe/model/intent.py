"""What should be reachable and what must not be: groups, rules, and the cells they decide.

Rule: an intent says what people mean, never what was seen. Names of groups are kept as they were written;
which endpoints they hold is decided against an inventory (``analysis.intent``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from netprobe.model.check import Expectation
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose

BUILT_IN_GROUPS = ("all", "gateways", "nodes", "pods", "services")
"""Groups that always exist: every endpoint; gateways' and all nodes' host plane; pod plane; services."""


class Protocol(StrEnum):
    """What a door is of; ``icmp`` and ``esp`` have no ports."""

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
    """Which pairs of a rule's endpoints are meant."""

    ANY = "any"
    WITHIN = "within"
    """Both ends in the same cluster."""
    ACROSS = "across"
    """The ends in different clusters."""


class Requirements(StrEnum):
    """What has to be there for a door to count as reachable."""

    LISTENER = "listener"
    """Somebody must answer: a refusal is not enough."""
    PATH = "path"
    """The way must be free: a refusal by the host itself shows that it is."""


class RulePriority(IntEnum):
    """Which rule decides where several speak about one cell: the lowest rank."""

    EXCEPTION = 0
    RULE = 1
    ENTRY_POINT = 2
    PATTERN = 3
    DEFAULT = 4


@dataclass(frozen=True, slots=True, order=True)
class PortSpec:
    """A protocol and a port; port 0 where the protocol has none."""

    protocol: Protocol
    port: int = 0

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port}" if self.port else str(self.protocol)


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Neighbouring ports of one protocol, both ends included; 0–0 where the protocol has none."""

    protocol: Protocol
    first: int = 0
    last: int = 0

    def overlaps(self, other: PortRange) -> bool:
        """Whether a door lies in both."""
        return self.protocol is other.protocol and self.first <= other.last and other.first <= self.last

    def doors(self) -> tuple[PortSpec, ...]:
        """Every door of the span, in order."""
        return tuple(PortSpec(self.protocol, port) for port in range(self.first, self.last + 1))

    def __str__(self) -> str:
        if not self.last:
            return str(self.protocol)
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol}/{ports}"


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints by what they are: every field that is given must fit, any one of its values is enough."""

    name: str
    clusters: tuple[str, ...] = ()
    """Names, with ``*`` and ``?`` as in file names; the same for every field of text."""
    environments: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """``namespace/name``."""
    labels: tuple[tuple[str, str], ...] = ()
    """All of them must fit; a node has ``kubernetes.io/hostname`` and ``topology.kubernetes.io/zone``."""
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
    """Empty: the doors that the intent names as a whole (``Intent.ports``)."""
    rank: RulePriority = RulePriority.RULE
    scope: Scope = Scope.ANY
    needs: Requirements = Requirements.LISTENER
    owner: str = ""
    expires: str = ""
    """Last day on which an exception holds, ``YYYY-MM-DD``."""
    where: str = ""
    """``file:line:column`` for messages."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A whole intent, patterns and prerequisites already expanded to rules."""

    groups: tuple[Group, ...] = ()
    rules: tuple[Rule, ...] = ()
    default: Expectation | None = None
    """What holds where no rule speaks; None: nothing is said about it and nothing is asked."""
    ports: tuple[PortRange, ...] = ()
    """The doors meant by rules that name none."""
    responders: frozenset[PortSpec] = field(default_factory=frozenset)
    """UDP doors whose listeners always answer, so that their silence means something."""
    families: tuple[int, ...] = (4, 6)
    """Of these IP versions, the first that both ends have is asked; see ``every_family``."""
    every_family: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One expectation: *source* asks *door* at *address*."""

    source: AgentId
    target: str
    """Name of the endpoint, as ``netprobe check`` takes it."""
    address: str
    door: PortSpec
    expected: Expectation
    rule: str
    """Name of the rule that decided."""
    needs: Requirements = Requirements.LISTENER


class CellVerdict(StrEnum):
    """How what was seen compares with what was meant."""

    AS_INTENDED = "as intended"
    BROKEN = "broken"
    """Should work, does not."""
    LEAK = "leak"
    """Must not work, does."""
    UNPROVEN = "unproven"
    """Nobody can say: no witness of life, or not measurable from here."""


class CellCause(StrEnum):
    """What was seen of a door; ``not-known`` where nothing can be said."""

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
    """What a watched intent does not want: one rule that is broken, or leaks, between two clusters."""

    verdict: CellVerdict
    """``broken`` or ``leak``."""
    source: str
    """Cluster."""
    target: str
    """Cluster, or the address of somebody outside."""
    rule: str
    cells: int
    """How many differ."""
    example: Prose
    """One of them, as a sentence."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell and its verdict."""

    cell: Cell
    verdict: CellVerdict
    reason: Prose
    """What was seen, or why nothing can be said."""
    at: str = ""
    """Who stopped it, where that is known: an address, or ``this host`` for the one that asked."""
    between: tuple[str, ...] = ()
    """A drop's place: the last hop that still named the packet and, where known, the first that did not."""
    cause: CellCause = CellCause.NOT_KNOWN
    """What was seen, for programs."""
