"""A collector's process with real planning and an analysis that only counts; made to be killed."""

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
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, NodeId
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

    def observe(self, report: Report, *, now_ns: int) -> None:
        self.windows += len(report.windows)

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        pass

    def narrow(self, finding: str, left: tuple[Component, ...], told: tuple[str, ...]) -> bool:
        self.left = left
        return finding == "ambiguous"

    def conclude(self, *, now_ns: int) -> Conclusion:
        counted = Component(ComponentKind.AGENT, Written(str(self.windows)))
        findings = [Finding("counted", (counted,), Cause.UNKNOWN, 1.0, "counted")]
        if self.windows:
            one, *others = self.left
            findings.append(
                Finding("ambiguous", (one,), Cause.UNKNOWN, 0.5, "broken", indistinguishable=tuple(others))
            )
        return Conclusion(tuple(findings), (), tuple, lambda: self.agents)


async def serve(settings: Settings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_collector(
        settings, AnalysisPorts(partial(plan, policy=PlanPolicy(full_mesh_nodes=4)), Counting), stop=stop
    )


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    directory, listen = Path(sys.argv[1]), Listen.parse(sys.argv[2])
    inventory, keys = directory / "inventory.yaml", directory / "keys.json"
    epoch_intervals = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    settings = Settings(
        inventory, directory / "data", listen, keys,
        interval_ns=200_000_000, epoch_intervals=epoch_intervals, http=Listen("127.0.0.1", 0),
        bus=tuple(sys.argv[4:]),
    )  # fmt: skip
    try:
        asyncio.run(serve(settings))
    except NetprobeError as error:
        sys.exit(f"netprobe: {error}")


if __name__ == "__main__":
    main()
