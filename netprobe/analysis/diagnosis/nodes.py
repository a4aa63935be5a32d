"""Agents and nodes first: a sick agent or a dead node must not be read as a sick network.

Rules: an agent is sick when it delivers nothing and does not answer while its address still pings. A node is
down when none of its agents delivers and nothing at all comes back from any of its addresses; then its agents
are explained by it. An agent that is merely silent, while it still answers its peers, lost the bus: packets
make no finding of that; where its cluster says that it runs, `arrivals` does.
"""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, suppose
from netprobe.analysis.diagnosis.symptom import Symptom, TablePart
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.component import ComponentKind, gateway_in, gateway_out, node_in, node_out
from netprobe.model.component import agent as agent_component
from netprobe.model.finding import Evidence
from netprobe.model.names import AgentId, NodeId


def find_dead_nodes(
    look: IntervalObservation, facts: PlanIndex, *, ignored: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Nodes none of whose agents delivered and from which nothing came back."""
    found = []
    for node in dict.fromkeys(agent.node_id for agent in sorted(look.missing)):
        if look.missing.issuperset(facts.agents_on[node]):
            hypothesis = _suppose_dead(look, facts, node, ignored)
            if hypothesis is not None:
                found.append(hypothesis)
    return tuple(found)


def _suppose_dead(
    look: IntervalObservation, facts: PlanIndex, node: NodeId, ignored: frozenset[int]
) -> Hypothesis | None:
    towards = [facts.checks[number] for number in facts.at_node[node] if number not in ignored]
    asked = [check for check in towards if check.source.node_id != node and check.number in look.seen]
    if not asked or any(
        look.seen[check.number].reached or look.seen[check.number].refused for check in asked
    ):
        return None
    core = [check.number for check in asked]
    is_gateway = node in facts.gateways
    parts = (gateway_out(node), gateway_in(node)) if is_gateway else (node_out(node), node_in(node))
    hidden: set[int] = set(facts.at_node[node])
    if is_gateway:
        hidden |= facts.crossing[parts[0]] | facts.crossing[parts[1]]
    sources = {check.source for check in asked}
    return suppose(
        Symptom(TablePart.NODE, is_gateway=is_gateway),
        parts,
        core=core,
        explained=hidden,
        evidence=(
            Evidence(f"none of its agents reports: {_list(facts.agents_on[node])}"),
            Evidence(f"{len(sources)} agents ask it, by ping too, and hear nothing", facts.ids(core)),
        ),
    )


def find_sick_agents(
    look: IntervalObservation, facts: PlanIndex, *, dead: Iterable[NodeId], ignored: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Agents that delivered nothing and answer nobody while their address pings."""
    buried = set(dead)
    found = []
    for agent in sorted(look.missing):
        if agent.node_id not in buried:
            hypothesis = _suppose_sick(look, facts, agent, ignored)
            if hypothesis is not None:
                found.append(hypothesis)
    return tuple(found)


def _suppose_sick(
    look: IntervalObservation, facts: PlanIndex, agent: AgentId, ignored: frozenset[int]
) -> Hypothesis | None:
    towards = [c for c in facts.to_agent.get(agent, ()) if c.number in look.seen]
    pinged = [c.number for c in towards if c.aspect is Aspect.ICMP and look.seen[c.number].is_good]
    talked = [c for c in towards if _needs_agent(c) and c.number not in ignored]
    if not pinged or not talked or any(look.seen[check.number].reached for check in talked):
        return None
    core = [check.number for check in talked]
    every = {check.number for check in facts.to_agent.get(agent, ())}
    return suppose(
        Symptom(ComponentKind.AGENT),
        (agent_component(agent),),
        core=core,
        explained=every | {check.number for check in facts.from_agent.get(agent, ())},
        evidence=(
            Evidence("it delivers no reports"),
            Evidence(f"{len(pinged)} agents ping its address and are answered", facts.ids(pinged)),
            Evidence("nobody gets an answer from the agent itself", facts.ids(core)),
        ),
    )


def _needs_agent(check: CheckFacts) -> bool:
    """Whether the agent itself has to answer: the kernel pings back and accepts connections without it."""
    return check.aspect in {Aspect.UDP, Aspect.V6}


def _list(agents: Iterable[AgentId]) -> str:
    return ", ".join(map(str, agents))
