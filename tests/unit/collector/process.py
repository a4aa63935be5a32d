"""A collector with real planning and an analysis that only counts; as a program it is made to be killed."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from netprobe.analysis.analyst import Conclusion
from netprobe.bus.server import Listen
from netprobe.cli.actions.collector import plan
from netprobe.collector.ports import AnalysisPorts
from netprobe.collector.service import run_collector
from netprobe.collector.settings import Settings
from netprobe.errors import NetprobeError
from netprobe.model.component import Component, ComponentKind, Written, node_out, pod_out
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.fabric import Claim
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, NodeId
from netprobe.model.prose import Prose
from netprobe.model.status import AgentState, AgentStatus
from netprobe.model.window import Report
from netprobe.planning.policy import PlanPolicy

_NODE = NodeId.parse("prod/w1")


class Counting:
    """Reports in its findings how many windows it was shown, and one that it cannot tell apart."""

    def __init__(self, inventory: Inventory, fleet: FleetPlan) -> None:
        self.windows = 0
        self.left: tuple[Component, ...] = (node_out(_NODE), pod_out(_NODE))
        self.agents = tuple(AgentStatus(plan.agent, AgentState.ALIVE) for plan in fleet.plans)

    @property
    def rejected(self) -> Mapping[str, int]:
        return {}

    @property
    def awaited(self) -> frozenset[AgentId]:
        return frozenset()

    def expect(self, muster: ExpectedAgents) -> None:
        pass

    def hear_claims(self, claims: tuple[Claim, ...]) -> None:
        pass

    def observe(self, report: Report, *, now_ns: int) -> None:
        self.windows += len(report.windows)

    def step_clock(self, by_ns: int, *, now_ns: int) -> None:
        pass

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        pass

    def narrow(self, finding: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        self.left = left
        return finding == "ambiguous"

    def conclude(self, *, now_ns: int) -> Conclusion:
        counted = Component(ComponentKind.AGENT, Written(str(self.windows)))
        findings = [Finding("counted", (counted,), Cause.UNKNOWN, 1.0, Prose("counted"))]
        if self.windows:
            one, *others = self.left
            findings.append(
                Finding(
                    "ambiguous", (one,), Cause.UNKNOWN, 0.5, Prose("broken"), indistinguishable=tuple(others)
                )
            )
        return Conclusion(tuple(findings), (), tuple, lambda: self.agents)


def settings_in(
    directory: Path, listen: str, *, epoch_intervals: int = 0, bus: tuple[str, ...] = ()
) -> Settings:
    """The settings of a collector in *directory*."""
    return Settings(
        directory / "inventory.yaml", directory / "data", Listen.parse(listen), directory / "keys.json",
        interval_ns=200_000_000, epoch_intervals=epoch_intervals, http=Listen("127.0.0.1", 0), bus=bus,
    )  # fmt: skip


async def serve(settings: Settings, *, stop: asyncio.Event) -> None:
    """Run the collector until *stop* is set."""
    ports = AnalysisPorts(partial(plan, policy=PlanPolicy(full_mesh_nodes=4)), Counting)
    await run_collector(settings, ports, stop=stop)


async def _serve_until_terminated(settings: Settings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(settings, stop=stop)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    try:
        asyncio.run(_serve_until_terminated(settings_in(Path(sys.argv[1]), sys.argv[2])))
    except NetprobeError as error:
        sys.exit(f"netprobe: {error}")


if __name__ == "__main__":
    main()
