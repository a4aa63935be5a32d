"""Detects dead nodes and sick agents first, so that they are not mistaken for a sick network.

Rules: an agent is sick when it sends no report and does not answer while its address still answers pings. A
node is down when none of its agents reports and nothing at all comes back from any of its addresses; that
also explains its agents. An agent that delivers nothing but still answers its peers has lost the bus: the
network's parts are not blamed for that. Where the cluster's API is read, `findings.missing_agents` says more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.hypothesis import Hypothesis, build_hypothesis
from netprobe.analysis.diagnosis.symptom import Note, Symptom, TablePart
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.component import ComponentKind, bus_way, gateway_in, gateway_out, node_in, node_out
from netprobe.model.component import agent as agent_component
from netprobe.model.finding import Evidence
from netprobe.model.names import AgentId, ClusterName, NodeId
from netprobe.model.prose import Prose

_CUT_OFF_INTERVALS = 6
"""Intervals in which reports must be missing: a bus that restarts, or a new connection, takes a few."""


def find_dead_nodes(
    observation: IntervalObservation, index: PlanIndex, *, ignored: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Nodes none of whose agents reported and from which no answer came back."""
    found = []
    for node in dict.fromkeys(agent.node_id for agent in sorted(observation.missing)):
        if observation.missing.issuperset(index.agents_on[node]):
            hypothesis = _build_dead_hypothesis(observation, index, node, ignored)
            if hypothesis is not None:
                found.append(hypothesis)
    return tuple(found)


def _build_dead_hypothesis(
    observation: IntervalObservation, index: PlanIndex, node: NodeId, ignored: frozenset[int]
) -> Hypothesis | None:
    towards = [index.checks[number] for number in index.at_node[node] if number not in ignored]
    asked = [check for check in towards if check.source.node_id != node and check.number in observation.seen]
    if not asked or any(
        observation.seen[check.number].reached or observation.seen[check.number].refused for check in asked
    ):
        return None
    core = [check.number for check in asked]
    is_gateway = node in index.gateways
    parts = (gateway_out(node), gateway_in(node)) if is_gateway else (node_out(node), node_in(node))
    hidden: set[int] = set(index.at_node[node])
    if is_gateway:
        hidden |= index.crossing[parts[0]] | index.crossing[parts[1]]
    sources = {check.source for check in asked}
    return build_hypothesis(
        Symptom(TablePart.NODE, is_gateway=is_gateway),
        parts,
        core=core,
        explained=hidden,
        evidence=(
            Evidence(Prose(f"none of its agents reports: {_list(index.agents_on[node])}")),
            Evidence(Prose(f"{len(sources)} agents ask it, by ping too, and hear nothing"), index.ids(core)),
        ),
    )


def find_sick_agents(
    observation: IntervalObservation, index: PlanIndex, *, dead: Iterable[NodeId], ignored: frozenset[int]
) -> tuple[Hypothesis, ...]:
    """Agents that sent no report and do not answer while their address answers pings."""
    buried = set(dead)
    found = []
    for agent in sorted(observation.missing):
        if agent.node_id not in buried:
            hypothesis = _build_sick_hypothesis(observation, index, agent, ignored)
            if hypothesis is not None:
                found.append(hypothesis)
    return tuple(found)


def _build_sick_hypothesis(
    observation: IntervalObservation, index: PlanIndex, agent: AgentId, ignored: frozenset[int]
) -> Hypothesis | None:
    towards = [c for c in index.to_agent.get(agent, ()) if c.number in observation.seen]
    pinged = [c.number for c in towards if c.aspect is Aspect.ICMP and observation.seen[c.number].is_good]
    talked = [c for c in towards if _needs_agent(c) and c.number not in ignored]
    if not pinged or not talked or any(observation.seen[check.number].reached for check in talked):
        return None
    core = [check.number for check in talked]
    every = {check.number for check in index.to_agent.get(agent, ())}
    return build_hypothesis(
        Symptom(ComponentKind.AGENT),
        (agent_component(agent),),
        core=core,
        explained=every | {check.number for check in index.from_agent.get(agent, ())},
        evidence=(
            Evidence(Prose("it delivers no reports")),
            Evidence(Prose(f"{len(pinged)} agents ping its address and are answered"), index.ids(pinged)),
            Evidence(Prose("no check gets an answer from the agent itself"), index.ids(core)),
        ),
    )


def find_cut_off_agents(
    observation: IntervalObservation, index: PlanIndex, answering: frozenset[AgentId]
) -> tuple[Hypothesis, ...]:
    """Agents that sent no report and whose process answers others: their reports are lost on their way.

    Where no agent of a node or of a cluster reports, it is the way of the node or of the cluster.
    """
    found = []
    for where, agents in _join(answering, index):
        answered = [
            c.number
            for agent in agents
            for c in index.to_agent.get(agent, ())
            if _needs_agent(c) and observation.seen.reached[c.number]
        ]
        is_one = len(agents) == 1
        process = "its process" if is_one else "their processes"
        text = f"{len(answered)} checks are answered by {process}"
        found.append(
            build_hypothesis(
                Symptom(ComponentKind.BUS_WAY, note=Note.ANSWERING),
                (bus_way(where),),
                core=answered,
                explained=(check.number for agent in agents for check in index.from_agent.get(agent, ())),
                words={"detail": "its agent answers" if is_one else "its agents answer"},
                evidence=(
                    Evidence(Prose("it delivers no reports" if is_one else "they deliver no reports")),
                    Evidence(Prose(text), index.ids(answered)),
                ),
                patience=_CUT_OFF_INTERVALS,
            )
        )
    return tuple(found)


def _join(
    answering: frozenset[AgentId], index: PlanIndex
) -> Iterator[tuple[AgentId | NodeId | ClusterName, tuple[AgentId, ...]]]:
    """The agents of whole clusters, then those of whole nodes, then the others, each with its place."""
    left = set(answering)
    for cluster in sorted({agent.cluster for agent in answering}):
        agents = {agent for agent in index.agents if agent.cluster == cluster}
        if agents <= left and len({agent.node_id for agent in agents}) > 1:
            yield cluster, tuple(sorted(agents))
            left -= agents
    for node in sorted({agent.node_id for agent in left}):
        agents = set(index.agents_on[node])
        if agents <= left and len(agents) > 1:
            yield node, tuple(sorted(agents))
            left -= agents
    yield from ((agent, (agent,)) for agent in sorted(left))


def _needs_agent(check: CheckFacts) -> bool:
    """Whether the agent itself has to answer: the kernel pings back and accepts connections without it."""
    return check.aspect in {Aspect.UDP, Aspect.V6}


def _list(agents: Iterable[AgentId]) -> str:
    return ", ".join(map(str, agents))
