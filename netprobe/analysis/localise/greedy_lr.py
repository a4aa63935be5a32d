"""Greedy likelihood ratio: add the part that explains most, refit all together, drop what became needless.

Each component has a healthy loss rate b, estimated from the same rows. A candidate's gain is the
log-likelihood at its best loss rate over that at the healthy bound τ₀ (or at its best rate, if smaller), so
a part is never accused for being ordinary. What gains λ or more becomes a suspect. The search follows Flock
(Harsh et al., CoNEXT 2023); the model is exact binomial (``likelihood``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from netprobe.analysis.localise.background import Prior, fit_background
from netprobe.analysis.localise.evidence import L, Observations
from netprobe.analysis.localise.interface import Localisation
from netprobe.analysis.localise.likelihood import LossEvidence, Profile
from netprobe.analysis.localise.verdict import Accused, conclude
from netprobe.model.arrays import FloatArray, IntArray

_CLOSE = 1e-7
"""Gains nearer than this (relative) are equal; the first component wins, whatever the order of the rows."""
_NEAR = 4.6
"""Nats: a rival of a suspect explains at most a hundred times worse."""
_MOST_GAIN = 50.0
_SWEEPS = 4
_MAX_SWAPS = 50


@dataclass(frozen=True, slots=True)
class GreedyLikelihood:
    """The default engine. Gains are in nats (natural logarithm of the likelihood ratio)."""

    threshold: float = 6.5
    """λ: about the logarithm of how many parts are innocent per guilty one."""
    healthy_bound: float = 2e-4
    """τ₀: loss that a healthy component may have."""
    background: float | None = None
    """b: loss of a healthy component; None to estimate it."""
    prior: Prior = field(default_factory=Prior)
    """What b is taken for while little was measured."""

    def localise(self, observations: Observations[L]) -> Localisation[L]:
        """Name the components that best explain what was lost."""
        search = _Search(self, LossEvidence.of(observations))
        while search.add_best():
            search.prune()
        for _ in range(_MAX_SWAPS):
            if not search.swap_once():
                break
        suspects = [search.weigh(component) for component in search.rates]
        return conclude(observations, suspects, background=search.background)


@dataclass(eq=False)
class _Search:
    """The working hypothesis: which components are broken and how badly."""

    settings: GreedyLikelihood
    evidence: LossEvidence
    rates: dict[int, float] = field(default_factory=dict)
    """Rate of each suspect beyond the background."""
    background: float = 0.0
    seen: set[frozenset[int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._fit_background()

    def path_rates(self, *, without: int | None = None, background: float | None = None) -> FloatArray:
        """Rates of all paths under the hypothesis."""
        total = self.evidence.path_rates(self.background if background is None else background)
        for component, rate in self.rates.items():
            if component != without:
                total[self.evidence.crossing(component)] += rate
        return total

    def add_best(self) -> bool:
        """Accuse the candidate that gains most, if it gains enough; whether one was accused."""
        candidates = self.evidence.candidates
        candidates = candidates[~np.isin(candidates, list(self.rates))]
        best = self._find_best(candidates, self.path_rates())
        if best is None or best.gain < self.settings.threshold:
            return False
        if frozenset((*self.rates, best.component)) in self.seen:
            return False
        self._accept({**self.rates, best.component: best.loss})
        return True

    def prune(self) -> None:
        """Drop, weakest first, suspects that the others have made needless."""
        while len(self.rates) > 1:
            gains = {component: self.gain_of(component) for component in self.rates}
            weakest = min(gains, key=lambda component: (gains[component], component))
            if gains[weakest] >= self.settings.threshold:
                return
            self._accept({part: rate for part, rate in self.rates.items() if part != weakest})

    def swap_once(self) -> bool:
        """Put another component in a suspect's place if that explains more; whether it happened."""
        for component in sorted(self.rates):
            rates = self.path_rates(without=component)
            others = [part for part in self.rates if part != component]
            candidates = self.evidence.candidates
            best = self._find_best(candidates[~np.isin(candidates, others)], rates)
            if (
                best is None
                or best.component == component
                or frozenset((*others, best.component)) in self.seen
            ):
                continue
            self._accept({**{part: self.rates[part] for part in others}, best.component: best.loss})
            return True
        return False

    def gain_of(self, component: int) -> float:
        """What accusing *component* gains over leaving it at the healthy bound, the others as they are."""
        found = self._find_best(np.array([component]), self.path_rates(without=component))
        return found.gain if found is not None else 0.0

    def weigh(self, component: int) -> Accused:
        """A suspect beside everything that could stand in its place, the others as they are."""
        others = [part for part in self.rates if part != component]
        candidates = self.evidence.candidates
        candidates = candidates[~np.isin(candidates, others)]
        _, gains = self._gains(candidates, self.path_rates(without=component))
        own = gains[candidates == component][0]
        by_gain = np.argsort(-gains, kind="stable")
        near = candidates[by_gain[gains[by_gain] >= own - _NEAR]]
        return Accused(
            component,
            -float(np.expm1(-self.rates[component])),
            float(own),
            rivals=tuple(near[near != component].tolist()),
            share=float(1 / np.exp(np.minimum(gains - own, _MOST_GAIN)).sum()),
        )

    def _gains(self, candidates: IntArray, path_rates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """By candidate its best rate, and what it gains over the healthy bound."""
        profile = Profile(self.evidence, path_rates, candidates)
        rate, gain = profile.best()
        return rate, gain - profile.gain(np.minimum(rate, self.settings.healthy_bound))

    def _find_best(self, candidates: IntArray, path_rates: FloatArray) -> Accused | None:
        """The candidate with the highest gain; its *loss* field holds the rate."""
        if not len(candidates):
            return None
        rate, gain = self._gains(candidates, path_rates)
        top = int(np.flatnonzero(gain >= gain.max() - _CLOSE * (1 + abs(gain.max())))[0])
        return Accused(int(candidates[top]), float(rate[top]), float(gain[top]))

    def _fit_background(self) -> None:
        settings = self.settings
        if settings.background is not None:
            self.background = settings.background
            return
        self.background = fit_background(self.evidence, self.path_rates(background=0.0), settings.prior)

    def _accept(self, rates: dict[int, float]) -> None:
        self.rates = dict(sorted(rates.items()))
        self.seen.add(frozenset(self.rates))
        for _ in range(_SWEEPS):
            before = dict(self.rates)
            self._fit_background()
            for component in self.rates:
                alone = Profile(self.evidence, self.path_rates(without=component), np.array([component]))
                self.rates[component] = float(alone.best()[0][0])
            if all(abs(self.rates[part] - rate) <= 0.01 * rate for part, rate in before.items()):
                return
