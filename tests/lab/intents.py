"""Intents between two pods of the lab, and what verify says about them."""

from __future__ import annotations

import asyncio
import datetime as dt

from benchmarks.verify import wait_for_agents
from netprobe.analysis.intent.document import read_intent
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.bus.operator import open_asker
from netprobe.lab.access import find_access
from netprobe.model.intent import CellResult, Intent
from netprobe.model.snapshot import Snapshot
from netprobe.workflows.verification import verify_cells

TODAY = dt.date(2026, 11, 25)
SOURCE, TARGET = "prod-us-west-1/w2/pod", "staging-eu-central-1/w1"
GROUPS = """
version: 1
groups:
  asker: {clusters: [prod-us-west-1], nodes: [w2], planes: [pod]}
  asked: {clusters: [staging-eu-central-1], nodes: [w1], planes: [pod]}
"""
OPEN = "{verdict: allow, from: asker, to: asked, ports: [icmp, tcp/9771, udp/9771]}"
SHUT = "{verdict: deny, from: asker, to: asked, ports: [tcp/9771]}"


def verify(name: str, rule: str, *, snapshot: Snapshot | None = None) -> dict[str, CellResult]:
    """What verify says, by port; without a *snapshot* it waits until every agent has reported."""
    return asyncio.run(_verify_rule(name, rule, snapshot))


async def _verify_rule(name: str, rule: str, snapshot: Snapshot | None) -> dict[str, CellResult]:
    intent = read_intent(f"{GROUPS}rules: [{rule}]", source="t", today=TODAY)
    return {str(one.cell.door): one for one in await verify_intent(name, intent, snapshot)}


async def verify_intent(
    name: str, intent: Intent, snapshot: Snapshot | None = None
) -> tuple[CellResult, ...]:
    """What verify says about every cell of *intent*."""
    access = find_access(name)
    seen = snapshot or await wait_for_agents(access)
    cells = expand_cells(intent, seen.inventory)
    async with open_asker(access, asked_by="test") as asker:
        return await verify_cells(asker, cells, intent=intent, snapshot=seen)
