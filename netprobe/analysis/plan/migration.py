"""Maps check indices of one plan to the next, so per-check state survives a replan.

Rules: a check remains when the next plan holds one with the same identity; its state is kept under its new
number. State of removed checks, agents and parts is dropped without a finding: they were taken away, they did
not break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.arrays import IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.names import CheckId

V = TypeVar("V")
S = TypeVar("S", bound=np.generic)

_BROKEN_ALONE = {Aspect.LARGE, Aspect.V6}
_AT_NODE = {ComponentKind.NODE_IN, ComponentKind.NODE_OUT}


class PlanMigration:
    """The way from the numbers of one plan to those of the next."""

    def __init__(self, before: PlanIndex, after: PlanIndex) -> None:
        self.before = before
        self.after = after
        self._number: dict[int, int] = {
            check.number: after.by_id[check.check.id].number
            for check in before.checks
            if check.check.id in after.by_id
        }
        lasting = set(self._number.values())
        self.new: frozenset[int] = frozenset(
            check.number for check in after.checks if check.number not in lasting
        )
        """Numbers of the checks that only the next plan holds."""
        self.departed: frozenset[CheckId] = frozenset(before.by_id.keys() - after.by_id.keys())

    @cached_property
    def arrays(self) -> tuple[IntArray, IntArray]:
        """Of the checks that go on the old numbers and, in the same order, the new ones."""
        size = len(self._number)
        return np.fromiter(self._number, np.int64, size), np.fromiter(self._number.values(), np.int64, size)

    def array(self, held: npt.NDArray[S], *, fresh: npt.NDArray[S]) -> npt.NDArray[S]:
        """What is kept in an array by number, written over *fresh*, the array of the next plan."""
        old, new = self.arrays
        fresh[new] = held[old]
        return fresh

    def numbers(self, numbers: Iterable[int]) -> frozenset[int]:
        """Those that go on, under their new numbers."""
        return frozenset(self._number[number] for number in numbers if number in self._number)

    def keys(self, held: Mapping[int, V]) -> dict[int, V]:
        """What is kept by number, for the checks that go on."""
        return {self._number[number]: value for number, value in held.items() if number in self._number}

    def exists(self, part: Component) -> bool:
        """Whether a part is still there: something crosses it, or the places it joins are still known."""
        if part in self.after.crossing:
            return True
        if part.kind in {ComponentKind.TUNNEL, ComponentKind.UNDERLAY}:
            far = part.target_cluster
            return far is not None and bool(self.after.inventory.find_links(part.cluster, far))
        inventory = self.after.inventory
        nodes = (node for node in (part.node, part.target_node) if node is not None)
        return all(map(inventory.find_cluster, part.clusters)) and all(map(inventory.find_node, nodes))

    def touching(self, parts: Iterable[Component], *, like: Iterable[int]) -> frozenset[int]:
        """New checks that cross, ask or start at *parts*.

        Where the old checks *like* were large or IPv6 ones only, so are these: a part may be broken for them
        alone.
        """
        aspects = {self.before.checks[number].aspect for number in like}
        is_narrow = len(aspects) == 1 and aspects <= _BROKEN_ALONE
        found: set[int] = set()
        for part in parts:
            found |= self.after.crossing.get(part, frozenset())
            found |= {n for n in self.new if _is_end(self.after.checks[n], part)}
        return frozenset(
            n for n in found & self.new if not is_narrow or self.after.checks[n].aspect in aspects
        )


def _is_end(check: CheckFacts, part: Component) -> bool:
    """Whether a part is one of a check's two ends: the agent, or the node it runs on."""
    if part.kind is ComponentKind.AGENT:
        return part.agent in {check.source, check.asked} - {None}
    if part.kind in _AT_NODE:
        return part.node in {check.source.node_id, check.check.target.node} - {None}
    return False
