"""What a localiser answers: suspects, what hides behind them, what was not asked, what is innocent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from netprobe.analysis.localise.evidence import L


@dataclass(frozen=True, slots=True)
class Suspect(Generic[L]):
    """One thing that is wrong: a component, or a class of them that the measured rows cannot tell apart."""

    components: tuple[L, ...]
    """The whole class, in the matrix's order; one component where it stands alone."""
    loss: float
    """Estimated share of packets lost in it, 0–1."""
    gain: float
    """How much better the rows are explained with it than without; the engine says in which unit."""
    supporting: tuple[int, ...]
    """Rows that lost packets and whose best explanation it is."""
    contradicting: tuple[int, ...]
    """Rows that cross it and lost far less than its loss foretells."""
    rivals: tuple[L, ...] = ()
    """Others that explain the rows nearly as well in its place, the best first."""
    share: float = 1.0
    """Its weight among all that could stand in its place, 0–1."""


@dataclass(frozen=True, slots=True)
class Localisation(Generic[L]):
    """The answer. Every component is in exactly one of suspects, hidden, unmeasured and innocent."""

    suspects: tuple[Suspect[L], ...]
    """Largest gain first."""
    hidden: tuple[L, ...]
    """No packet that crossed them came through, as they lie behind a dead part: unknown, not healthy."""
    unmeasured: tuple[L, ...]
    """No packet was sent across them: unknown."""
    innocent: tuple[L, ...]
    """Packets came through and nothing points at them."""
    unexplained: tuple[int, ...]
    """Rows that lost packets and cross no suspect."""
    background: float | None = None
    """Loss per healthy component the engine assumed or estimated, 0–1; None where it has no such rate."""
