"""Whether an effect touches a check or an agent. Pure."""

from __future__ import annotations

from netprobe.analysis.plan.index import Aspect, CheckFacts
from netprobe.model.component import gateway_out
from netprobe.model.names import AgentId, NodeId
from netprobe.simulate.effects import Busy, TableFull
from netprobe.simulate.moment import Moment

SMALL_NS = 1_000_000
"""The lag of an agent that nothing holds up."""


def is_lagged_away(check: CheckFacts, moment: Moment) -> bool:
    """Whether it is a conversation that a lagging agent does not bring to its end."""
    return check.check.probe.kind in {"http", "dns"} and any(
        makes_busy(effect, check.source) and effect.is_lost for effect in moment.all(Busy)
    )


def is_too_new(check: CheckFacts, moment: Moment) -> bool:
    """Whether it opens a flow for which a full table has no room."""
    full = {effect.node for effect in moment.all(TableFull)}
    if not full or check.aspect not in {Aspect.TCP, Aspect.NEW_FLOW, Aspect.SERVICE, Aspect.DNS}:
        return False
    if check.asked is None:
        return check.source.node_id in full
    ends = {check.source.node_id, check.asked.node_id}
    return len(ends) == 2 and not ends.isdisjoint(full)


def makes_busy(effect: Busy, agent: AgentId) -> bool:
    """Whether the agent's host is busy by it."""
    return effect.node == agent.node_id


def find_lag_ns(agent: AgentId, moment: Moment) -> int:
    """The worst lag of an agent."""
    return max((e.lag_ns for e in moment.all(Busy) if makes_busy(e, agent)), default=SMALL_NS)


def leaves_by(check: CheckFacts, gateway: NodeId) -> bool:
    """Whether its requests leave their cluster by that gateway."""
    return gateway_out(gateway) in check.legs.forward
