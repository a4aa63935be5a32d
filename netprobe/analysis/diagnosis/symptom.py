"""What is known of a group of suspects, and what a row of the decision table asks for."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.finding import Cause


@dataclass(frozen=True, slots=True)
class Symptom:
    """What is known about one group of suspects."""

    part: str
    """Kind of the parts: a `ComponentKind`, or ``route`` for a node's route to a remote cluster."""
    column: str = "all"
    """``all``, ``large``, ``v6``, ``icmp``, ``udp``, ``tcp``."""
    ways: str = "both"
    """``both`` or ``one``: whether the two directions of the part are affected."""
    answer: str = "silent"
    """What came back, mostly: ``silent``, ``refused``, ``rejected``, ``wrong-peer``, ``nxdomain``,
    ``lossy``, ``slow``.
    """
    note: str = ""
    """A special mark: ``snat``, ``same-port-only``, ``slow-connect``, ``new-flows-only``, ``idle``,
    ``woken``; how it is with an agent that runs and does not report, as `arrivals` tells them apart.
    """
    gateway: bool = False
    """Whether the node is a gateway."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A pattern and what it means; an empty field of the pattern fits everything.

    *text* may use ``{parts}``, ``{where}``, ``{here}``, ``{there}``, ``{detail}`` and ``{loss}``.
    """

    number: str
    cause: Cause
    confidence: float
    text: str
    next_step: str
    part: str = ""
    column: str = ""
    ways: str = ""
    answer: str = ""
    note: str = ""
    gateway: bool | None = None

    def fits(self, symptom: Symptom) -> bool:
        """Whether every field that is set is the symptom's."""
        wanted = (self.part, self.column, self.ways, self.answer)
        found = (symptom.part, symptom.column, symptom.ways, symptom.answer)
        return (
            all(not want or have in want.split("|") for want, have in zip(wanted, found, strict=True))
            and self.note == symptom.note
            and (self.gateway is None or self.gateway is symptom.gateway)
        )
