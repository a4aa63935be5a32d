"""Scripted faults: commands that break one part of a running lab and commands that mend it, with the label.

Rule: a script changes only the namespaces of the lab's hosts. Every change has a name (a table, a route, a
peer), and the script that mends it takes away what has that name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from netprobe.errors import SystemRefusedError
from netprobe.lab.fault_drill import DrillFault, LabInjector
from netprobe.model.ground_truth import GroundTruth

_TABLE = "made"


class ScriptRunner(Protocol):
    """What a script needs of a lab."""

    def run(self, host: str, *argv: str) -> tuple[int, str]:
        """Run a command inside *host*; return its exit code and its output."""
        ...


@dataclass(frozen=True, slots=True)
class HostScript:
    """Shell commands on one host: *begin* breaks it, *end* mends it."""

    host: str
    begin: str
    end: str = "true"


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """A fault of a lab as data: its kind, where it is, how it is made and what it is."""

    kind: str
    place: str
    scripts: tuple[HostScript, ...]
    label: GroundTruth
    is_asked: bool = True
    """Whether a check of the plan crosses it; where none does, nothing may be said."""
    patience: int = 0
    """Further intervals that a finding may take: rates and rare losses need many windows."""

    @property
    def drill_fault(self) -> DrillFault:
        """The fault as a drill plays it."""
        return DrillFault(self.kind, {"at": self.place}, patience=self.patience)


def write_chain(
    hook: str,
    *rules: str,
    priority: str = "filter",
    family: str = "inet",
    kind: str = "filter",
    name: str = "",
) -> tuple[str, str]:
    """The command that adds *rules* in a chain of their own, and the one that takes them away."""
    table = f"{family} {_TABLE}{name}"
    chain = f"type {kind} hook {hook} priority {priority}; policy accept"
    added = "; ".join(f"add rule {table} c {rule}" for rule in rules)
    add = f"add table {table}; add chain {table} c {{ {chain}; }}; {added}"
    return f"nft '{add}'", f"nft delete table {table}"


def begin_scripts(lab: ScriptRunner, scripts: Iterable[HostScript]) -> None:
    """Break what *scripts* break; raises :class:`SystemRefusedError` with the output of what failed."""
    for script in scripts:
        code, output = lab.run(script.host, "sh", "-ec", script.begin)
        if code:
            raise SystemRefusedError(f"the script on {script.host} ended with {code}: {output.strip()}")


def end_scripts(lab: ScriptRunner, scripts: Iterable[HostScript]) -> None:
    """Mend what *scripts* broke, the last one first; a part that was not broken is left as it is."""
    for script in reversed(tuple(scripts)):
        lab.run(script.host, "sh", "-c", script.end)


@dataclass(frozen=True, slots=True)
class ScriptInjector:
    """Plays scripted faults, and through *kinds* the lab's own."""

    lab: ScriptRunner
    kinds: LabInjector
    scripted: Mapping[str, ScriptedFault]
    """By the name of the drill's fault."""
    _in_place: dict[str, ScriptedFault] = field(default_factory=dict)

    async def add(self, kind: str, parameters: dict[str, str]) -> tuple[str, GroundTruth]:
        """Add a fault; return its id and its ground truth."""
        name = DrillFault(kind, parameters).name
        fault = self.scripted.get(name)
        if fault is None:
            return await self.kinds.add(kind, parameters)
        try:
            await asyncio.to_thread(begin_scripts, self.lab, fault.scripts)
        except SystemRefusedError:
            await asyncio.to_thread(end_scripts, self.lab, fault.scripts)
            raise
        self._in_place[name] = fault
        return name, fault.label

    async def remove(self, fault_id: str) -> None:
        """Remove it."""
        fault = self._in_place.pop(fault_id, None)
        if fault is None:
            await self.kinds.remove(fault_id)
        else:
            await asyncio.to_thread(end_scripts, self.lab, fault.scripts)
