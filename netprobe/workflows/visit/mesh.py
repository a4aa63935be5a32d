"""Clusters asked on demand: agents for a few rounds, and a snapshot of what they saw.

Rule: what could not be asked is told and stays unknown; it is never taken for broken.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter

from netprobe.analysis.analyst import Analyst
from netprobe.deploy.visit.lifecycle import Visit
from netprobe.discovery.fabric_merge import add_fabrics, find_claims
from netprobe.discovery.inventory.flat_mesh import join_flat
from netprobe.discovery.k8s.facts import ClusterFacts
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import NetprobeError, RemoteFormatError, SystemRefusedError
from netprobe.model.capability import Capability
from netprobe.model.check import Plan
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import AgentId
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import AgentHealth, Measured, Report
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.plan_keys import add_keys
from netprobe.planning.policy import PlanPolicy
from netprobe.wire.stream import FollowPlan, MeasuredLine, PlanTaken, decode_output_line, encode_input_line
from netprobe.workflows.visit.session import (
    Progress,
    VisitSession,
    VisitSettings,
    stay,
)

_LATE_S = 30.0


@dataclass(frozen=True, slots=True)
class MeshResult:
    """What came of a visit."""

    snapshot: Snapshot
    untested: tuple[str, ...]
    """What could not be asked and why, one line each."""


async def visit_clusters(
    contexts: Sequence[Context], settings: VisitSettings, progress: Progress
) -> MeshResult:
    """Bring agents up behind every context, let them ask each other, take them away."""
    async with stay(contexts, settings, progress) as staying:
        return await _MeshRun(staying, build_inventory(staying), progress).measure()


def build_inventory(staying: VisitSession) -> Inventory:
    """Who is there, joined as fabrics say; where none does, flat: every node is its own way to others."""
    clusters = tuple(_cluster(one, staying.visits[one.cluster.name]) for one in staying.facts)
    agents = frozenset(agent for one in staying.facts for agent in one.agents)
    apart = Inventory(clusters=clusters, agent_port=staying.settings.port, agents=agents)
    joined = add_fabrics(apart, staying.fabrics, Inventory())
    return joined if joined.links else join_flat(apart)


def _cluster(facts: ClusterFacts, visit: Visit) -> Cluster:
    cluster = facts.cluster
    staffed = {agent.node for agent in facts.agents}
    nodes = tuple(node for node in cluster.nodes if node.name in staffed)
    services = tuple(
        found
        for found in cluster.services
        if found.namespace == visit.namespace and (found.node is None or found.node in staffed)
    )
    return replace(cluster, nodes=nodes, services=services)


@dataclass(slots=True)
class _MeshRun:
    """One measurement of agents that stand."""

    staying: VisitSession
    inventory: Inventory
    progress: Progress
    untested: list[str] = field(default_factory=list)
    taken: dict[AgentId, PlanTaken] = field(default_factory=dict)
    master: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """Of the keys of this visit."""

    async def measure(self) -> MeshResult:
        """Hand out the plans, take in the windows, judge them."""
        settings, rounds = self.staying.settings, self.staying.settings.rounds
        fleet = plan_fleet(
            self.inventory, epoch=1, seed=secrets.randbits(32), interval_ns=settings.interval_ns,
            cookie_key=secrets.token_bytes(32), policy=PlanPolicy(),
        )  # fmt: skip
        # No agent asks before all agents answer: what fails from the beginning is broken, not starting.
        analyst = Analyst(self.inventory, fleet, settling_intervals=1)
        reports: list[Report] = []
        plans = {plan.agent: plan for plan in fleet.plans}
        running = self.staying.pods.keys() & plans.keys()
        gate = _Barrier(len(running))
        self.progress(f"{len(plans)} agents ask {fleet.coverage.checks} checks, {rounds} rounds")
        await asyncio.gather(*(self._follow(plans[agent], fleet, gate, reports) for agent in running))
        if not reports:
            raise SystemRefusedError(f"no agent measured anything: {'; '.join(self.untested)}")
        return self._conclude(analyst, fleet, reports)

    def _conclude(self, analyst: Analyst, fleet: FleetPlan, reports: Sequence[Report]) -> MeshResult:
        """Judge each interval as if it had just ended, so that a lasting fault is reported as lasting."""
        filed = sorted(((one.start_ns, str(one.agent), one) for one in reports), key=itemgetter(0, 1))
        for start_ns, together in groupby(filed, key=itemgetter(0)):
            now_ns = start_ns + 3 * fleet.interval_ns
            for _, _, report in together:
                analyst.observe(report, now_ns=now_ns)
            found = analyst.conclude(now_ns=now_ns)
        snapshot = Snapshot(
            taken_ns=now_ns,
            interval_ns=fleet.interval_ns,
            inventory=self.inventory,
            checks=fleet.checks,
            legs=fleet.legs,
            coverage=fleet.coverage,
            paths=found.paths,
            agents=found.agents,
            findings=found.findings,
            past_findings=found.past_findings,
            claims=find_claims(self.staying.fabrics, (one.name for one in self.inventory.clusters)),
        )
        return MeshResult(snapshot, (*self.staying.unread(), *self._unable(), *self.untested))

    def _unable(self) -> Iterator[str]:
        silent = sorted(
            str(agent) for agent, taken in self.taken.items() if Capability.ICMP_NONE in taken.capabilities
        )
        if silent:
            yield f"no ICMP from {', '.join(silent)}: not allowed there"
        for agent, taken in self.taken.items():
            yield from (f"{agent}: {line}" for line in taken.unaskable)

    def _key(self, plan: Plan, fleet: FleetPlan, *, is_first: bool) -> Plan:
        """*plan* with its keys. The *first* one also has the key of agents of the previous build.

        Afterwards it is known who is of which build, and only such agents and their askers use that key.
        """
        older = {
            agent for agent, taken in self.taken.items() if Capability.PAIR_KEYS not in taken.capabilities
        }
        keyed = add_keys(
            fleet.plans, self.inventory, master=self.master, key_epoch=1,
            fleet_key=plan.cookie_key if is_first or older else b"",
            able={one.agent for one in fleet.plans} - older,
        )  # fmt: skip
        return next(one for one in keyed if one.agent == plan.agent)

    async def _follow(self, plan: Plan, fleet: FleetPlan, gate: _Barrier, reports: list[Report]) -> None:
        """One agent: it answers peers first, and asks when all answer. Its failure is its own."""
        settings = self.staying.settings
        rounds_s = (settings.rounds + 3) * settings.interval_ns / 1e9
        try:
            async with self.staying.talk_to(plan.agent) as talk:
                said = talk.lines()
                async with asyncio.timeout(settings.patience_s):
                    first = replace(self._key(plan, fleet, is_first=True), checks=(), epoch=0)
                    await talk.send(encode_input_line(FollowPlan(first)))
                    taken = decode_output_line(await anext(said))
                if isinstance(taken, PlanTaken):
                    self.taken[plan.agent] = taken
                gate.pass_by()
                await gate.wait()
                await talk.send(encode_input_line(FollowPlan(self._key(plan, fleet, is_first=False))))
                async with asyncio.timeout(_LATE_S + rounds_s):
                    await self._take(said, plan, taken, reports)
        except (NetprobeError, StopAsyncIteration, TimeoutError) as error:
            self.untested.append(f"{plan.agent}: {str(error) or 'the agent said nothing in time'}")
        finally:
            gate.pass_by()

    async def _take(
        self, said: AsyncIterator[bytes], plan: Plan, taken: object, reports: list[Report]
    ) -> None:
        done = 0
        while done < self.staying.settings.rounds:
            told = decode_output_line(await anext(said))
            match told:
                case PlanTaken():
                    self.taken[plan.agent] = told
                case MeasuredLine(_, measured) if measured.windows:
                    done += 1
                    reports.append(_report(plan, measured, done, taken))


class _Barrier:
    """Opens when everybody has come to it, or has failed to."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._open = asyncio.Event()

    def pass_by(self) -> None:
        self._expected -= 1
        if self._expected <= 0:
            self._open.set()

    async def wait(self) -> None:
        await self._open.wait()


def _report(plan: Plan, measured: Measured, sequence: int, taken: object) -> Report:
    if not isinstance(taken, PlanTaken):
        raise RemoteFormatError(f"{plan.agent}: an agent that measures before it has a plan")
    health = AgentHealth(
        agent=plan.agent, at_ns=measured.start_ns + measured.length_ns, epoch=plan.epoch,
        loop_lag_ns=measured.loop_lag_ns, packets_dropped=measured.packets_dropped,
        windows_dropped=0, windows_spooled=0, capabilities=taken.capabilities, version=taken.version,
    )  # fmt: skip
    return Report(
        agent=plan.agent, epoch=plan.epoch, sequence=sequence, boot="visit", start_ns=measured.start_ns,
        length_ns=measured.length_ns, windows=measured.windows, heard=measured.heard, health=health,
    )  # fmt: skip
