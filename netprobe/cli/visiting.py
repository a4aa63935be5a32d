"""Clusters asked on demand: agents for a few rounds, and a snapshot of what they saw.

Rules: whatever happens, Ctrl-C too, the namespaces of the visit are deleted before this ends. What could not
be asked is told and stays unknown; it is never taken for broken.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from netprobe.analysis.analyst import Analyst
from netprobe.discovery.api import ClusterApi, open_api
from netprobe.discovery.clusters import name_clusters
from netprobe.discovery.execute import run_in_pod
from netprobe.discovery.joining import join_flat
from netprobe.discovery.kubeconfig import Context
from netprobe.discovery.kubernetes import PLANE_LABEL, ClusterFacts, read_objects, understand
from netprobe.discovery.visit import Visit, VisitPod, arrive, expect_welcome, leave
from netprobe.errors import NetprobeError, RemoteFormatError, SurroundingsError
from netprobe.model.check import Plan
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import AgentId, ClusterName, NodeName, Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import AgentHealth, Measured, Report
from netprobe.planning.fleet import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.wire.stream import Taken, Told, decode_said, encode_plan_line

T = TypeVar("T")
_LEAVE_S = 60.0
_LATE_S = 30.0


@dataclass(frozen=True, slots=True)
class VisitSettings:
    """How clusters are visited."""

    image: str
    rounds: int = 5
    interval_ns: int = 2_000_000_000
    patience_s: float = 90.0
    """How long agents may take until they run."""
    port: int = 9771


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a visit."""

    snapshot: Snapshot
    untested: tuple[str, ...]
    """What could not be asked and why, one line each."""


Progress = Callable[[str], None]


async def visit_clusters(contexts: Sequence[Context], settings: VisitSettings, progress: Progress) -> Seen:
    """Bring agents up behind every context, let them ask each other, take them away."""
    names = name_clusters(contexts)
    namespace = f"netprobe-verify-{secrets.token_hex(3)}"
    async with AsyncExitStack() as stack:
        apis = {names[one]: await stack.enter_async_context(open_api(one)) for one in contexts}
        await expect_welcome(tuple(apis.values()))
        async with _staying(apis, namespace, progress):
            progress(f"starting agents in namespace {namespace} of {len(apis)} clusters")
            coming = (
                arrive(
                    api, namespace=namespace, image=settings.image, port=settings.port,
                    patience_s=settings.patience_s,
                )
                for api in apis.values()
            )  # fmt: skip
            visits = dict(zip(apis, await _all(coming), strict=True))
            facts = await _all(_understand(name, visit) for name, visit in visits.items())
            run = _Run(settings, visits, build_inventory(facts, visits, settings.port), progress)
            return await run.measure([f"{one.cluster.name}: {kind}" for one in facts for kind in one.unread])


@asynccontextmanager
async def _staying(
    apis: dict[ClusterName, ClusterApi], namespace: str, progress: Progress
) -> AsyncIterator[None]:
    try:
        yield
    finally:
        progress(f"removing namespace {namespace}")
        leaving = (leave(api, namespace=namespace, patience_s=_LEAVE_S) for api in apis.values())
        ends = await asyncio.gather(*leaving, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                told = f"not removed: {end}; kubectl delete namespace {namespace} there yourself"
                progress(" ".join(told.split()))


async def _understand(name: ClusterName, visit: Visit) -> ClusterFacts:
    """The cluster as the visit needs it: with our own agents and services, and nobody else's agents."""
    read = await read_objects(visit.api)
    pods = tuple(pod for pod in read.of("pods") if pod.metadata.namespace == visit.namespace)
    return understand(name, replace(read, by_kind={**read.by_kind, "pods": pods}))


def build_inventory(facts: Sequence[ClusterFacts], visits: dict[ClusterName, Visit], port: int) -> Inventory:
    """Who is there, flat: every node is its own way to the other clusters."""
    clusters = tuple(_cluster(one, visits[one.cluster.name]) for one in facts)
    agents = frozenset(agent for one in facts for agent in one.agents)
    return join_flat(Inventory(clusters=clusters, agent_port=port, agents=agents))


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
class _Run:
    """One measurement of agents that stand."""

    settings: VisitSettings
    visits: dict[ClusterName, Visit]
    inventory: Inventory
    progress: Progress
    untested: list[str] = field(default_factory=list)
    taken: dict[AgentId, Taken] = field(default_factory=dict)

    async def measure(self, unread: Sequence[str]) -> Seen:
        """Hand out the plans, take in the windows, judge them."""
        fleet = plan_fleet(
            self.inventory, epoch=1, seed=secrets.randbits(32), interval_ns=self.settings.interval_ns,
            cookie_key=secrets.token_bytes(16), policy=PlanPolicy(),
        )  # fmt: skip
        # Nobody asks before everybody answers: what fails from the beginning is broken, not starting.
        analyst = Analyst(self.inventory, fleet, settling_frames=1)
        reports: list[Report] = []
        gate = _Gate(len(fleet.plans))
        plans = {plan.agent: plan for plan in fleet.plans}
        rounds = self.settings.rounds
        self.progress(f"{len(plans)} agents ask {fleet.coverage.checks} checks, {rounds} rounds")
        pods = [(visit, pod) for visit in self.visits.values() for pod in visit.pods]
        jobs = []
        for visit, pod in pods:
            agent = _agent_of(self._name(visit), pod)
            if agent in plans:
                jobs.append(self._follow(visit, pod, plans[agent], gate, reports))
        await asyncio.gather(*jobs)
        if not reports:
            raise SurroundingsError(f"no agent measured anything: {'; '.join(self.untested)}")
        return self._conclude(analyst, fleet, reports, unread)

    def _conclude(
        self, analyst: Analyst, fleet: FleetPlan, reports: Sequence[Report], unread: Sequence[str]
    ) -> Seen:
        """Judge interval by interval, as if each had just ended, so that what lasts is told as lasting."""
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
        )
        missing = [line for visit in self.visits.values() for line in visit.missing]
        denied = [f"{what} could not be listed" for what in unread]
        return Seen(snapshot, (*missing, *denied, *self._unable(), *self.untested))

    def _unable(self) -> Iterator[str]:
        silent = sorted(
            str(agent) for agent, taken in self.taken.items() if "icmp-none" in taken.capabilities
        )
        if silent:
            yield f"no ICMP from {', '.join(silent)}: not allowed there"
        for agent, taken in self.taken.items():
            yield from (f"{agent}: {line}" for line in taken.unaskable)

    def _name(self, visit: Visit) -> ClusterName:
        return next(name for name, one in self.visits.items() if one is visit)

    async def _follow(
        self, visit: Visit, pod: VisitPod, plan: Plan, gate: _Gate, reports: list[Report]
    ) -> None:
        """One agent: it answers peers first, and asks when all answer. Its failure is its own."""
        command = (
            "python3", "-m", "netprobe_agent", "stream", f"--agent={plan.agent}",
            f"--port={self.settings.port}",
        )  # fmt: skip
        rounds_s = (self.settings.rounds + 3) * self.settings.interval_ns / 1e9
        try:
            async with run_in_pod(visit.api, visit.place(pod), command) as talk:
                said = talk.lines()
                async with asyncio.timeout(self.settings.patience_s):
                    await talk.send(encode_plan_line(replace(plan, checks=(), epoch=0)))
                    taken = decode_said(await anext(said))
                gate.pass_by()
                await gate.wait()
                await talk.send(encode_plan_line(plan))
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
        while done < self.settings.rounds:
            told = decode_said(await anext(said))
            match told:
                case Taken():
                    self.taken[plan.agent] = told
                case Told(_, measured) if measured.windows:
                    done += 1
                    reports.append(_report(plan, measured, done, taken))


class _Gate:
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
    if not isinstance(taken, Taken):
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


def _agent_of(cluster: ClusterName, pod: VisitPod) -> AgentId:
    return AgentId(cluster, NodeName(pod.spec.node_name), Plane(pod.metadata.labels[PLANE_LABEL]))


async def _all(jobs: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Every result, in order; the first failure ends the others, as itself and not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except* NetprobeError as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
