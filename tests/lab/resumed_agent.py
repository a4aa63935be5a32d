"""verify while an agent's process is stopped, and goes on before anything is asked for a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.bus.operator import Access, open_asker
from netprobe.lab.fault_drill import LabInjector
from netprobe.model.check import Check
from netprobe.model.intent import Cell, CellResult, Intent
from netprobe.model.names import AgentId
from netprobe.model.snapshot import Snapshot
from netprobe.wire.asker import Asker
from netprobe.wire.messages import Reply
from netprobe.workflows.verification import verify_cells


@dataclass
class GoingOn:
    """An asker that takes the fault away before the second question."""

    asker: Asker
    injector: LabInjector
    fault: str
    asked: int = 0

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        self.asked += 1
        if self.asked == 2:
            await self.injector.remove(self.fault)
        return await self.asker.ask(source, checks)


async def verify_while_stopped(
    access: Access,
    injector: LabInjector,
    cells: Sequence[Cell],
    *,
    agent: str,
    intent: Intent,
    snapshot: Snapshot,
) -> tuple[CellResult, ...]:
    """What verify says about *cells* while *agent* is stopped (SIGSTOP) for the first of its questions."""
    identity, _ = await injector.add("agent-frozen", {"agent": agent})
    async with open_asker(access, asked_by="test") as asker:
        going_on = GoingOn(asker, injector, identity)
        try:
            return await verify_cells(going_on, cells, intent=intent, snapshot=snapshot)
        finally:
            if going_on.asked < 2:
                await injector.remove(identity)
