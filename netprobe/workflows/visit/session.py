"""Agents for a while behind kubeconfig contexts: brought up, understood, and taken away again.

Rule: whatever happens, Ctrl-C too, the namespaces of the visit are deleted before this ends.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from netprobe.deploy.visit.lifecycle import (
    Visit,
    delete_visit,
    preflight,
    start_visit,
)
from netprobe.discovery.k8s.client import ClusterApi, open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.fabric_objects import read_fabrics
from netprobe.discovery.k8s.facts import (
    PLANE_LABEL,
    ClusterFacts,
    parse_cluster,
    read_objects,
)
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.discovery.k8s.pod_exec import ExecStream, run_in_pod
from netprobe.discovery.k8s.schema import Pod
from netprobe.errors import NetprobeError
from netprobe.model.fabric import FabricFacts
from netprobe.model.names import AgentId, ClusterName, NodeName, Plane

T = TypeVar("T")
_LEAVE_S = 60.0


@dataclass(frozen=True, slots=True)
class VisitSettings:
    """How clusters are visited."""

    image: str
    rounds: int = 5
    interval_ns: int = 2_000_000_000
    patience_s: float = 90.0
    """How long agents may take until they run."""
    port: int = 9771


Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class VisitSession:
    """Agents that stand, and what the clusters told of themselves."""

    settings: VisitSettings
    visits: Mapping[ClusterName, Visit]
    facts: tuple[ClusterFacts, ...]
    fabrics: Mapping[ClusterName, tuple[FabricFacts, ...]] = field(default_factory=dict)

    @property
    def pods(self) -> dict[AgentId, tuple[Visit, Pod]]:
        """The pod of every agent that runs."""
        return {
            _agent_of(name, pod): (visit, pod) for name, visit in self.visits.items() for pod in visit.pods
        }

    def talk_to(self, agent: AgentId) -> AbstractAsyncContextManager[ExecStream]:
        """Start ``netprobe-agent stream`` in the agent's pod for the time of the block."""
        visit, pod = self.pods[agent]
        program = ("python3", "-m", "netprobe_agent", "stream")
        options = (f"--agent={agent}", f"--port={self.settings.port}")
        return run_in_pod(visit.api, visit.place(pod), (*program, *options))

    def unread(self) -> Iterator[str]:
        """What could not be found out and why, one line each."""
        yield from (line for visit in self.visits.values() for line in visit.missing)
        for one in self.facts:
            yield from (f"{one.cluster.name}: {kind} could not be listed" for kind in one.unread)
        for name, fabrics in self.fabrics.items():
            yield from (f"{name}: {each.fabric}: {one}" for each in fabrics for one in each.unread)


@asynccontextmanager
async def stay(
    contexts: Sequence[Context], settings: VisitSettings, progress: Progress
) -> AsyncIterator[VisitSession]:
    """Bring agents up behind every context for the time of the block.

    Raises :class:`SurroundingsError` where a cluster cannot be visited; then none is changed.
    """
    names = name_clusters(contexts)
    namespace = f"netprobe-verify-{secrets.token_hex(3)}"
    async with AsyncExitStack() as stack:
        apis = {names[one]: await stack.enter_async_context(open_api(one)) for one in contexts}
        await preflight(tuple(apis.values()))
        async with _taken_away(apis, namespace, progress):
            progress(f"starting agents in namespace {namespace} of {len(apis)} clusters")
            coming = (
                start_visit(
                    api, namespace=namespace, image=settings.image, port=settings.port,
                    patience_s=settings.patience_s,
                )
                for api in apis.values()
            )  # fmt: skip
            visits = dict(zip(apis, await _all(coming), strict=True))
            facts = await _all(_understand(name, visit) for name, visit in visits.items())
            fabrics = await _all(read_fabrics(visit.api) for visit in visits.values())
            yield VisitSession(settings, visits, tuple(facts), dict(zip(visits, fabrics, strict=True)))


@asynccontextmanager
async def _taken_away(
    apis: dict[ClusterName, ClusterApi], namespace: str, progress: Progress
) -> AsyncIterator[None]:
    try:
        yield
    finally:
        progress(f"removing namespace {namespace}")
        leaving = (delete_visit(api, namespace=namespace, patience_s=_LEAVE_S) for api in apis.values())
        ends = await asyncio.gather(*leaving, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                told = f"not removed: {end}; kubectl delete namespace {namespace} there yourself"
                progress(" ".join(told.split()))


async def _understand(name: ClusterName, visit: Visit) -> ClusterFacts:
    """The cluster as the visit needs it: with our own agents and services, without other agents."""
    read = await read_objects(visit.api)
    pods = tuple(pod for pod in read.of("pods") if pod.metadata.namespace == visit.namespace)
    return parse_cluster(name, replace(read, by_kind={**read.by_kind, "pods": pods}))


def _agent_of(cluster: ClusterName, pod: Pod) -> AgentId:
    return AgentId(cluster, NodeName(pod.spec.node_name), Plane(pod.metadata.labels[PLANE_LABEL]))


async def _all(jobs: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Every result, in order; the first failure ends the others, as itself and not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except* NetprobeError as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
