"""The engines by name; a new engine is one file and one line here."""

from __future__ import annotations

from netprobe.analysis.localise.greedy_lr import GreedyLikelihood
from netprobe.analysis.localise.interface import Localiser
from netprobe.analysis.localise.netbouncer import NetBouncer
from netprobe.analysis.localise.set_cover import SetCover
from netprobe.analysis.localise.vote007 import Vote007
from netprobe.errors import InputError

ENGINES: dict[str, Localiser] = {
    "greedy_lr": GreedyLikelihood(),
    "netbouncer": NetBouncer(),
    "set_cover": SetCover(),
    "vote007": Vote007(),
}
DEFAULT = "greedy_lr"


def localiser(name: str = DEFAULT) -> Localiser:
    """The engine called *name*."""
    if name not in ENGINES:
        raise InputError(f"no engine {name!r}; there are {', '.join(sorted(ENGINES))}", where="localiser")
    return ENGINES[name]
