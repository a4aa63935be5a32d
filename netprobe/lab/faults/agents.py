"""Faults of agents."""

from __future__ import annotations

from functools import partial

from netprobe.lab.faults.base import Arguments, FaultKind, FaultPlan, Frozen, Killed, Parameter
from netprobe.model.component import agent
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth

_AGENT = Parameter("agent", "CLUSTER/NODE/PLANE")


def _plan(action: type[Killed] | type[Frozen], arguments: Arguments) -> FaultPlan:
    sick = arguments.agent("agent")
    return FaultPlan(GroundTruth(Cause.AGENT_SICK, (agent(sick),)), (action(str(sick)),))


AGENT_KILLED = FaultKind(
    "agent-killed",
    "an agent is killed and not restarted; its address still pings",
    (_AGENT,),
    partial(_plan, Killed),
)
AGENT_FROZEN = FaultKind(
    "agent-frozen", "an agent is stopped; the kernel still answers for it", (_AGENT,), partial(_plan, Frozen)
)
