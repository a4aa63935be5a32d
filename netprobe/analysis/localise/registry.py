"""The engines by name; a new engine is one file and one line here."""

from __future__ import annotations

from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.interface import Localiser
from netprobe.analysis.localise.set_cover import SetCover
from netprobe.errors import InputError

ENGINES: dict[str, Localiser] = {
    "greedy_lr": GreedyLikelihood(),
    "set_cover": SetCover(),
}
DEFAULT = "greedy_lr"


def localiser(name: str = DEFAULT) -> Localiser:
    """The engine called *name*."""
    if name not in ENGINES:
        raise InputError(f"no engine {name!r}; there are {', '.join(sorted(ENGINES))}", where="localiser")
    return ENGINES[name]
