"""Expands an intent over an inventory to cells: one expectation per source, target and port. Pure.

Where several rules speak about one cell, the lowest rank decides; two of the same rank that disagree are an
:class:`InputError`. The default covers, for every target, the intent's own ports and every port that any rule
names towards it, so that what some may reach is asked of all others, too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from netprobe.analysis.intent.endpoints import BUILT_IN, IntentEndpoint, find_endpoints, find_members
from netprobe.errors import InputError
from netprobe.model.intent import Cell, Intent, PortSpec, Rule, RulePriority, Scope
from netprobe.model.inventory import Inventory

MAX_CELLS = 2_000_000

Key = tuple[int, int, PortSpec]


def expand_cells(intent: Intent, inventory: Inventory, *, max_cells: int = MAX_CELLS) -> tuple[Cell, ...]:
    """Every cell that *intent* decides, sorted by source, target, address and port."""
    expansion = _Expansion(intent, inventory, max_cells)
    for rule in sorted(intent.rules, key=lambda each: each.rank):
        expansion.apply(rule)
    if intent.default is not None:
        expansion.apply_default()
    return tuple(
        sorted(expansion.cells(), key=lambda cell: (cell.source, cell.target, cell.address, cell.door))
    )


class _Expansion:
    """Which rule decides each cell so far."""

    def __init__(self, intent: Intent, inventory: Inventory, max_cells: int) -> None:
        self._intent, self._max_cells = intent, max_cells
        self._endpoints = find_endpoints(inventory, intent)
        groups = (*BUILT_IN, *intent.groups)
        self._members = {group.name: find_members(group, self._endpoints) for group in groups}
        self._deciding: dict[Key, Rule] = {}
        self._doors_of: dict[int, set[PortSpec]] = {}
        self._default_doors = {door for span in intent.ports for door in span.port_specs()}

    def apply(self, rule: Rule) -> None:
        """Let *rule* decide what no lower rank has decided."""
        doors = [door for span in rule.spans or self._intent.ports for door in span.port_specs()]
        targets = self._of(rule.targets)
        for target in targets:
            self._doors_of.setdefault(target, set()).update(doors)
        for source in self._of(rule.sources):
            for target in targets:
                if self._is_meant(rule.scope, source, target):
                    self._decide(rule, source, target, doors)

    def _decide(self, rule: Rule, source: int, target: int, doors: list[PortSpec]) -> None:
        for door in doors:
            other = self._deciding.setdefault((source, target, door), rule)
            if other.rank is rule.rank and other.expected is not rule.expected:
                names = f"{self._endpoints[source].name} → {self._endpoints[target].name} {door}"
                raise InputError(
                    f"{rule.name!r} says {rule.expected} for {names}, {other.name!r} ({other.where}) says "
                    f"{other.expected}",
                    where=rule.where,
                )
        if len(self._deciding) > self._max_cells:
            raise InputError(f"means more than {self._max_cells} cells; name fewer ports", where=rule.where)

    def apply_default(self) -> None:
        """Let the default decide the rest."""
        assert self._intent.default is not None
        everybody = ("all",)
        rule = Rule("default", self._intent.default, everybody, everybody, (), RulePriority.DEFAULT)
        for target in range(len(self._endpoints)):
            doors = sorted(self._default_doors | self._doors_of.get(target, set()))
            for source in range(len(self._endpoints)):
                if self._is_meant(Scope.ANY, source, target):
                    self._decide(rule, source, target, doors)

    def _of(self, names: tuple[str, ...]) -> list[int]:
        return sorted({index for name in names for index in self._members[name]})

    def _is_meant(self, scope: Scope, source: int, target: int) -> bool:
        one, other = self._endpoints[source], self._endpoints[target]
        if one.agent is None or source == target:
            return False
        if scope is Scope.ANY:
            return True
        return (one.cluster == other.cluster) is (scope is Scope.WITHIN)

    def cells(self) -> Iterator[Cell]:
        """Every decided cell, once per IP version that is asked."""
        for (source, target, door), rule in self._deciding.items():
            one, other = self._endpoints[source], self._endpoints[target]
            assert one.agent is not None
            for address in self._addresses(one, other):
                yield Cell(one.agent, other.name, address, door, rule.expected, rule.name, rule.needs)

    def _addresses(self, source: IntentEndpoint, target: IntentEndpoint) -> Iterator[str]:
        own = {_version(address) for address in source.addresses}
        for version in self._intent.families:
            fitting = [each for each in target.addresses if _version(each) == version and version in own]
            if fitting:
                yield fitting[0]
                if not self._intent.every_family:
                    return


def _version(address: str) -> int:
    return 6 if ":" in address else ipaddress.ip_address(address).version
