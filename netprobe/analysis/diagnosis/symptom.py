"""What is known about a group of suspects, and the pattern that a row of the decision table asks for.

Rule: every field is an enum, so that a misspelt pattern is a type error and not a row that never fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import Cause
from netprobe.model.prose import Prose


class TablePart(StrEnum):
    """Parts that the table tells apart though components do not."""

    NODE = "node"
    """A node as a whole, in both directions."""
    ROUTE = "route"
    """A node's route to a remote cluster: an overlay component with a destination."""
    DNS_ZONE = "dns-zone"
    """What a DNS server forwards for one zone."""


PartKind: TypeAlias = ComponentKind | TablePart
"""What the decision table can be asked about."""


class TrafficClass(StrEnum):
    """Packets that are localised together, because a part may be broken for one class only."""

    MAIN = "main"
    V6 = "v6"
    LARGE = "large"


class Directions(StrEnum):
    """Whether both directions of the part are affected."""

    BOTH = "both"
    ONE = "one"


class Answer(StrEnum):
    """What came back, for most of the checks."""

    SILENT = "silent"
    REFUSED = "refused"
    REJECTED = "rejected"
    """An ICMP error came back, of another kind than the two below."""
    EXPIRED = "expired"
    """The packet's TTL ran out on the way."""
    PROHIBITED = "prohibited"
    """A filter on the way says that it rejects the packet."""
    WRONG_PEER = "wrong-peer"
    LOSSY = "lossy"
    """Some probes were answered, others were not."""
    SLOW = "slow"
    REPEATED = "repeated"
    """Answers came more than once."""


class Note(StrEnum):
    """An observation that part, traffic, directions and answer do not express."""

    SNAT = "snat"
    """The source address that arrived is not the sender's."""
    SAME_PORT_ONLY = "same-port-only"
    """Only flows that keep their source port fail."""
    SLOW_CONNECT = "slow-connect"
    """A connection is established after about a minute."""
    NEW_FLOWS_ONLY = "new-flows-only"
    """New flows fail, established ones pass."""
    PORT_RACE = "port-race"
    """A few of many connections are established only after a retransmission."""
    IDLE = "idle"
    """A flow that was quiet for long is dead."""
    WOKEN = "woken"
    """Packets pass only after the far end has sent some."""
    INVALID = "invalid"
    """The host dropped packets as invalid (``ct state invalid``)."""
    OUTER_SILENT = "outer-silent"
    """The outer addresses of a link's ends, or of a gateway and its peers, do not answer either."""
    ANSWERING = "answering"
    """No report from the agent, though it answers others."""
    UNSAID = "unsaid"
    """Checks have failed for many intervals without a finding."""
    CALLED_CONNECTED = "called-connected"
    """A gateway reports a tunnel as connected that passes no packets."""
    CLAIMED_UP = "claimed-up"
    """A fabric's control plane calls a part well that passes no packets."""
    CLAIMED_DOWN = "claimed-down"
    """A fabric's control plane calls a part broken that passes packets."""
    ONE_NODE = "one"
    """No report from agents of one node, while others of its cluster report."""
    ONE_PLANE = "plane"
    """No report from the agents of one plane of a cluster."""
    ONE_CLUSTER = "cluster"
    """No report from any agent of one cluster."""
    EVERYBODY = "everybody"
    """No report from any agent at all."""
    NOT_READY = "not-ready"
    """No report from a node that its cluster's API does not call ready."""
    TURNED_AWAY = "turned-away"
    """The bus refuses the agent."""
    NOT_RUNNING = "not-running"
    """The agent's container does not run."""
    ON_THE_BUS = "on-the-bus"
    """The agent is connected to the bus and reports nothing."""
    CLOCK_OFF = "clock-off"
    """The agent's reports arrive with times that are not ours."""
    MOST_CLOCKS_OFF = "most-clocks-off"
    """Most agents' reports do, by the same difference."""


class Selection(StrEnum):
    """What a part that loses some traffic and passes the rest chooses by."""

    PROTOCOL = "protocol"
    FAMILY = "family"
    NEW_FLOWS = "new-flows"
    SOURCE = "source"
    DESTINATION = "destination"
    PLANE = "plane"
    SIZE = "size"
    FORWARDING = "forwarding"
    """What gateways forward, or what is their own."""
    PODS = "pods"
    """All packets to or from the pods of a node, at the node."""
    ANSWERS = "answers"
    REQUESTS = "requests"
    FLOWS = "flows"
    """A share of the flows, always the same ones."""
    UNRECORDED = "unrecorded"
    """Some checks and not others, by nothing that was recorded."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What is known about one group of suspects."""

    part: PartKind
    traffic: TrafficClass = TrafficClass.MAIN
    directions: Directions = Directions.BOTH
    answer: Answer = Answer.SILENT
    note: Note | None = None
    is_gateway: bool = False
    """Whether the node is a gateway."""
    selection: Selection | None = None
    """What it loses, if it passes the rest."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A pattern and what it means; an empty set in the pattern fits everything."""

    id: str
    """Stable and unique: what documents, tests and outputs call the row."""
    cause: Cause
    confidence: float
    text: str
    """A template: `hypothesis.Placeholders` are filled in."""
    next_step: Prose
    parts: frozenset[PartKind] = frozenset()
    traffic: frozenset[TrafficClass] = frozenset()
    directions: frozenset[Directions] = frozenset()
    answers: frozenset[Answer] = frozenset()
    note: Note | None = None
    is_gateway: bool | None = None
    selections: frozenset[Selection] = frozenset()
    """Unlike the other sets, an empty one fits only parts that lose everything."""
    ignores_selection: bool = False
    """Whether it fits whatever the part chooses by."""

    def fits(self, symptom: Symptom) -> bool:
        """Whether the symptom matches every field that is set, and has exactly this note."""
        return (
            (not self.parts or symptom.part in self.parts)
            and (not self.traffic or symptom.traffic in self.traffic)
            and (not self.directions or symptom.directions in self.directions)
            and (not self.answers or symptom.answer in self.answers)
            and self.note is symptom.note
            and self._fits_selection(symptom.selection)
            and self.is_gateway in {None, symptom.is_gateway}
        )

    def _fits_selection(self, selection: Selection | None) -> bool:
        if self.ignores_selection:
            return True
        return selection in self.selections if self.selections else selection is None


def part_kind(part: Component) -> PartKind:
    """What the decision table calls a component: an overlay with a destination is a route."""
    if part.kind is ComponentKind.OVERLAY and part.detail:
        return TablePart.ROUTE
    return part.kind


def count_directions(parts: int) -> Directions:
    """Both directions where more than one part of a group is suspected."""
    return Directions.BOTH if parts > 1 else Directions.ONE
