"""An intent verified where nothing is installed: agents visit, are asked its questions, and leave.

Rule: it is asked and judged as on a bus. Only who carries the questions is another, and who is there is what
the clusters' own APIs say.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netprobe.analysis.intent.endpoints import expect_clusters
from netprobe.analysis.intent.sample import Sample
from netprobe.bus.questions import TransportAsker
from netprobe.discovery.inventory.flat_mesh import join_flat
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.model.check import Plan
from netprobe.model.intent import CellResult, Intent
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, AgentStatus
from netprobe.planning.allow_list import find_askable
from netprobe.workflows.verification_request import VerifyRequest
from netprobe.workflows.visit.agent_streams import AgentStreams, TalkTo, open_pipes
from netprobe.workflows.visit.session import (
    Progress,
    VisitSession,
    VisitSettings,
    stay,
)


@dataclass(frozen=True, slots=True)
class VisitVerification:
    """What a visit saw of an intent."""

    sample: Sample
    judged: tuple[CellResult, ...]
    untested: tuple[str, ...]
    """What could not be asked and why, one line each."""


async def look_on_visit(
    contexts: Sequence[Context], settings: VisitSettings, terms: VerifyRequest, progress: Progress
) -> VisitVerification:
    """Bring agents up behind every context, ask them what the intent needs, take them away.

    Raises :class:`InputError`, before anything is changed, where the intent names another cluster.
    """
    expect_clusters(terms.intent, name_clusters(contexts).values())
    async with stay(contexts, settings, progress) as staying:
        inventory = build_inventory(staying, terms.intent)
        looked = await ask_agents(inventory, staying.pods, staying.talk_to, settings, terms, progress)
        return replace(looked, untested=(*staying.unread(), *looked.untested))


async def ask_agents(
    inventory: Inventory,
    agents: Iterable[AgentId],
    talk_to: TalkTo,
    settings: VisitSettings,
    terms: VerifyRequest,
    progress: Progress,
) -> VisitVerification:
    """Let *agents* follow a plan without checks, so that they answer each other, and ask them."""
    snapshot = Snapshot(time.time_ns(), settings.interval_ns, inventory)
    sample = terms.draw(snapshot)
    plans = plan_answering(inventory, agents, interval_ns=settings.interval_ns)
    async with open_pipes(plans, talk_to, patience_s=settings.patience_s) as pipes:
        progress(f"{len(pipes.taken)} agents ask {len(sample.cells)} cells")
        seen = replace(snapshot, agents=tuple(_find_states(pipes)))
        judged = await terms.judge(TransportAsker(pipes, "verify", record=terms.record), sample, seen)
        return VisitVerification(
            sample, judged, tuple(f"{agent}: {why}" for agent, why in pipes.silent.items())
        )


def plan_answering(inventory: Inventory, agents: Iterable[AgentId], *, interval_ns: int) -> tuple[Plan, ...]:
    """Plans by which *agents* answer each other, and may ask everybody of *inventory* on demand."""
    key, askable = secrets.token_bytes(16), find_askable(inventory)
    return tuple(Plan(agent, 1, (), interval_ns, key, askable=askable) for agent in agents)


def _find_states(pipes: AgentStreams) -> Iterator[AgentStatus]:
    for agent, taken in pipes.taken.items():
        yield AgentStatus(agent, AgentState.ALIVE, version=taken.version, capabilities=taken.capabilities)
    for agent, why in pipes.silent.items():
        yield AgentStatus(agent, AgentState.ABSENT, reason=Prose(why))


def build_inventory(staying: VisitSession, intent: Intent) -> Inventory:
    """Who is there, flat: every node is its own way to the other clusters.

    A node whose agent does not run stays in it, because the result has to name what only that agent could
    ask. Single addresses that the intent names may be asked: the visitor wrote them down for that.
    """
    clusters = tuple(_cluster(one, staying) for one in staying.facts)
    outside = tuple(text for group in intent.groups for text in group.cidrs if _is_single(text))
    port = staying.settings.port
    return join_flat(Inventory(clusters=clusters, agent_port=port, allowed_targets=outside))


def _cluster(facts: ClusterFacts, staying: VisitSession) -> Cluster:
    own = staying.visits[facts.cluster.name].namespace
    services = tuple(found for found in facts.cluster.services if found.namespace != own)
    return replace(facts.cluster, services=services)


def _is_single(text: str) -> bool:
    return ipaddress.ip_network(text).num_addresses == 1
