"""What all engines that are compared have in common."""

from __future__ import annotations

from typing import Protocol

from netprobe.analysis.localise.evidence import L, Observations
from netprobe.analysis.localise.interface import Localisation


class Localiser(Protocol):
    """An engine: frozen parameters, one pure method."""

    def localise(self, observations: Observations[L]) -> Localisation[L]:
        """Name the components that best explain what was lost."""
        ...
