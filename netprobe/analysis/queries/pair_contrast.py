"""What separates the checks of a pair that fail from those that pass: one attribute, in words.

Rule: said only where every value of the attribute passes or fails as a whole; a pair that loses some of
everything has no contrast.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from netprobe.model.check import Check
from netprobe.model.names import CheckId, Plane
from netprobe.model.status import PathStatus

_PASSES = 0.9
_PLANES = {Plane.POD: "pods", Plane.HOST: "node addresses"}
_PROTOCOLS = {"icmp": "ICMP", "udp": "UDP", "tcp": "TCP", "http": "HTTP"}


@dataclass(frozen=True, slots=True)
class PairContrast:
    """Which checks fail and which pass, by one attribute."""

    failing: tuple[str, ...]
    """The values that fail, in words: ``TCP``."""
    is_plane: bool
    told: str
    """A sentence without its stop: ``not answered: TCP (0 of 2); answered: UDP (8 of 8)``."""


_ATTRIBUTES: tuple[Callable[[Check], str], ...] = (
    lambda check: _PLANES[check.source.plane],
    lambda check: "IPv6" if ":" in check.target.address else "IPv4",
    lambda check: "large packets" if check.probe.size else "ordinary packets",
    lambda check: _PROTOCOLS.get(check.probe.kind, check.probe.kind),
)


def find_contrast(checks: Iterable[Check], statuses: Mapping[CheckId, PathStatus]) -> PairContrast | None:
    """The first attribute of which some values fail wholly and the others pass; None where there is none."""
    measured = [check for check in checks if check.id in statuses and statuses[check.id].sent]
    for attribute in _ATTRIBUTES:
        sent: dict[str, int] = defaultdict(int)
        answered: dict[str, int] = defaultdict(int)
        for check in measured:
            sent[attribute(check)] += statuses[check.id].sent
            answered[attribute(check)] += statuses[check.id].answered
        failing = [value for value in sorted(sent) if not answered[value]]
        passing = [value for value in sorted(sent) if answered[value] >= _PASSES * sent[value]]
        if failing and passing and len(failing) + len(passing) == len(sent):
            bad, good = (
                ", ".join(f"{value} ({answered[value]} of {sent[value]})" for value in values)
                for values in (failing, passing)
            )
            told = f"not answered: {bad}; answered: {good}"
            return PairContrast(tuple(failing), attribute is _ATTRIBUTES[0], told)
    return None
