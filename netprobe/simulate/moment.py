"""What is broken at one moment of a simulated run, by what it touches. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar, cast

from netprobe.model.component import Component
from netprobe.model.names import AgentId
from netprobe.simulate.effects import AgentFrozen, AgentKilled, Effect, Lose, NodeDown

E = TypeVar("E")


class Moment:
    """The effects that hold at the same time; made once for every probe that meets them."""

    __slots__ = ("_by_kind", "asleep", "down", "frozen", "losses", "lossy")

    def __init__(self, effects: Sequence[Effect]) -> None:
        self._by_kind: dict[type, tuple[object, ...]] = {}
        grouped: defaultdict[type, list[object]] = defaultdict(list)
        for effect in effects:
            grouped[type(effect)].append(effect)
        self._by_kind = {kind: tuple(found) for kind, found in grouped.items()}
        self.frozen: frozenset[AgentId] = frozenset(e.agent for e in self.all(AgentFrozen))
        self.asleep: frozenset[AgentId] = self.frozen.union(e.agent for e in self.all(AgentKilled))
        """Agents that neither ask nor answer."""
        self.down = tuple(e.node for e in self.all(NodeDown))
        self.losses = self.all(Lose)
        self.lossy: frozenset[Component] = frozenset(e.component for e in self.losses)

    def all(self, kind: type[E]) -> tuple[E, ...]:
        """The effects of one *kind*, in the order in which the faults began."""
        return cast("tuple[E, ...]", self._by_kind.get(kind, ()))
