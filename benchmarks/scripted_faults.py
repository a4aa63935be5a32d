"""The scripted faults of the lab's score: kinds that other projects' reports describe, each at two places.

Rule: a fault is data; nothing here runs. The kinds of the lab's own catalogue are in `fault_drill_cases`.
"""

from __future__ import annotations

from collections import defaultdict

from benchmarks.scripted_gateway_faults import gateway_faults
from benchmarks.scripted_node_faults import node_faults
from benchmarks.scripted_service_faults import service_faults
from netprobe.lab.fault_script import ScriptedFault


def _by_kind() -> dict[str, tuple[ScriptedFault, ...]]:
    kinds: defaultdict[str, list[ScriptedFault]] = defaultdict(list)
    for fault in (*gateway_faults(), *node_faults(), *service_faults()):
        kinds[fault.kind].append(fault)
    return {kind: tuple(places) for kind, places in kinds.items()}


SCRIPTED: dict[str, tuple[ScriptedFault, ...]] = _by_kind()
"""By kind: the fault at its places."""
BY_NAME: dict[str, ScriptedFault] = {
    fault.drill_fault.name: fault for places in SCRIPTED.values() for fault in places
}
UNASKED = frozenset(name for name, fault in BY_NAME.items() if not fault.is_asked)
"""Faults that no check of the plan crosses: about these nothing may be said."""
