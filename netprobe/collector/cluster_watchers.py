"""One watcher per registered cluster: facts for the inventory, keys and pods for admission.

Rules. Clusters are added and removed with their files while the collector runs; an unreachable cluster does
not affect the others. Keys are read when a watch starts, every ten minutes, and when a token names an unknown
key, but at most every ten seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from netprobe.bus.tokens import MAX_KEYS, TrustedCluster
from netprobe.collector.admission import Admission
from netprobe.collector.registry import ClusterRegistry, RegisteredCluster
from netprobe.collector.token_renewal import keep_token_fresh
from netprobe.discovery.fabric_merge import find_claims
from netprobe.discovery.inventory.flat_mesh import join_flat
from netprobe.discovery.k8s.client import ClusterApi, open_api
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.discovery.k8s.fabric_watch import FabricWatch
from netprobe.discovery.k8s.facts import ClusterFacts, watched_kinds
from netprobe.discovery.k8s.token_issuer import read_issuer
from netprobe.discovery.k8s.watch import ClusterWatch, WatchedCluster
from netprobe.discovery.merge import NO_ACCESS, KnownCluster, keep_own, merge_inventory, ranges_of
from netprobe.errors import NetprobeError
from netprobe.model.expected_agents import ExpectedAgents
from netprobe.model.fabric import Claim, FabricFacts
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName, NodeId
from netprobe.wire.messages import Presence

POLL_S = 1.0
"""How often files and unknown keys are checked."""
KEYS_EVERY_S = 600.0
KEYS_PAUSE_S = 10.0
_RETRY_S = 5.0

logger = logging.getLogger(__name__)


class ClusterWatchers:
    """Watches every registered cluster; :meth:`run` until it is cancelled."""

    def __init__(
        self, registry: ClusterRegistry, admission: Admission, *, pace: WatchSettings | None = None
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._pace = pace
        self._followers: dict[ClusterName, _Follower] = {}
        self._tasks: dict[ClusterName, asyncio.Task[None]] = {}
        self._read_registry()

    def known(self) -> tuple[KnownCluster, ...]:
        """The state of each registered cluster now."""
        return tuple(self._followers[name].known() for name in sorted(self._followers))

    @property
    def home(self) -> ClusterName | None:
        """The cluster that we run in, if one is registered as such."""
        return next((name for name, each in self._followers.items() if each.registered.is_home), None)

    @property
    def refused(self) -> int:
        """Registration files that could not be used since the start."""
        return self._registry.refused

    async def run(self) -> None:
        """Follow the folder, and each cluster in it."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._read_registry()
                for name in self._tasks.keys() - self._followers.keys():
                    self._tasks.pop(name).cancel()
                for name, follower in self._followers.items():
                    if name not in self._tasks or self._tasks[name].get_name() != follower.title:
                        if name in self._tasks:
                            self._tasks[name].cancel()
                        self._tasks[name] = group.create_task(follower.run(), name=follower.title)
                await asyncio.sleep(POLL_S)

    def _read_registry(self) -> None:
        registered = {found.name: found for found in self._registry.read()}
        for name in self._followers.keys() - registered.keys():
            logger.info("cluster %s is no longer registered", name)
            del self._followers[name]
        for name, found in registered.items():
            follower = self._followers.get(name)
            if follower is None or follower.registered != found:
                self._followers[name] = _Follower(found, self._admission, self._trust, self._pace, follower)
                logger.info("cluster %s is registered%s", name, "" if found.access else ", without its API")
        self._trust()

    def _trust(self) -> None:
        self._admission.trust(follower.trusted for follower in self._followers.values())


class FleetView:
    """The fleet as known at the last :meth:`refresh`, merged with the inventory file."""

    def __init__(self, watchers: ClusterWatchers | None, *, flat: bool = False) -> None:
        self._watchers = watchers
        self._flat = flat
        self.known = watchers.known() if watchers is not None else ()
        """The state of each registered cluster at that time."""
        self._present: dict[AgentId, tuple[str, ...]] = {}
        self._doubts: set[str] = set()

    @property
    def home(self) -> ClusterName | None:
        """The cluster that we run in, where it is registered as such."""
        return self._watchers.home if self._watchers is not None else None

    async def refresh(self, find_present: Callable[[], Awaitable[tuple[Presence, ...]]]) -> None:
        """Read the watchers again; presence on the bus is used only for clusters whose API is away."""
        if self._watchers is None:
            return
        self.known = self._watchers.known()
        unread = {found.name for found in self.known if found.away or found.facts is None}
        present = await find_present() if unread else ()
        self._present = {one.agent: one.addresses for one in present if one.agent.cluster in unread}

    def _say_doubts(self, written: Inventory) -> None:
        """Once for each: agents that name foreign addresses, and clusters where that cannot be seen."""
        doubts = set()
        ranges = {found.name: ranges_of(written, found) for found in self.known}
        for agent, told in self._present.items():
            own = ranges.get(agent.cluster)
            if own is None:
                continue
            if not own.known(agent.plane):
                doubts.add(
                    f"cluster {agent.cluster}: the ranges of its {agent.plane} addresses are not known; "
                    "what its agents say of themselves is believed"
                )
            elif len(keep_own(own, agent, told)) < len(told):
                doubts.add(f"{agent}: names addresses outside of its cluster's ranges; they are not probed")
        for doubt in sorted(doubts - self._doubts):
            logger.warning("%s", doubt)
        self._doubts = doubts

    def expected_agents(self) -> ExpectedAgents:
        """Agents that should report, according to the APIs that can be read."""
        read = {found.name: found.facts for found in self.known if found.facts is not None}
        return ExpectedAgents(
            pods=tuple(pod for facts in read.values() for pod in facts.agent_pods if pod.runs),
            not_ready=frozenset(
                NodeId(name, node) for name, facts in read.items() for node in facts.not_ready
            ),
            unsure=frozenset(found.name for found in self.known if found.away),
            home=self.home,
        )

    def claims(self) -> tuple[Claim, ...]:
        """What fabrics claim about the clusters of the fleet."""
        reported = {found.name: found.fabrics for found in self.known if found.fabrics}
        return find_claims(reported, (found.name for found in self.known))

    def __call__(self, written: Inventory) -> Inventory:
        """The inventory to plan for."""
        self._say_doubts(written)
        found = merge_inventory(written, self.known, self._present)
        return join_flat(found) if self._flat and not found.links else found


class _Follower:
    """One cluster."""

    def __init__(
        self, registered: RegisteredCluster, admission: Admission, changed: Callable[[], None],
        pace: WatchSettings | None,
        before: _Follower | None,
    ) -> None:  # fmt: skip
        self.registered = registered
        self.trusted: TrustedCluster = registered.trusted
        if before is not None and not registered.trusted.keys:
            self.trusted = replace(registered.trusted, issuer=before.trusted.issuer, keys=before.trusted.keys)
        self.title = f"cluster {registered.name} {hash(registered.stamp)}"
        self._admission = admission
        self._changed = changed
        self._pace = pace
        self._fabrics: tuple[FabricFacts, ...] = before._fabrics if before is not None else ()
        self._watched: WatchedCluster | None = before._watched if before is not None else None
        self._watch: ClusterWatch | None = None
        self._away = "" if registered.access else NO_ACCESS
        self._reason = ""

    def known(self) -> KnownCluster:
        """The state of the cluster now."""
        facts = self._watched.facts if self._watched is not None else None
        away = self._away or (self._watch.away if self._watch is not None else "")
        # One reason for as long as it is away: the error of a failing connection differs from try to try.
        self._reason = (self._reason or away) if away else ""
        return KnownCluster(self.registered.name, facts, self._reason, self._fabrics)

    async def run(self) -> None:
        """Watch; start again if that fails, for example because credentials are missing."""
        access = self.registered.access
        while access is not None:
            try:
                async with open_api(access) as api:
                    await self._follow(api)
            except NetprobeError as error:
                self._away = str(error)
            except Exception as error:
                # A reply that we cannot parse must not stop the watches of other clusters.
                self._away = f"its API's reply cannot be parsed: {error!r}"
                logger.exception("cluster %s: the watch failed and starts again", self.registered.name)
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, api: ClusterApi) -> None:
        kinds = watched_kinds(self.registered.trusted.namespace)
        self._watch = ClusterWatch(api, self.registered.name, self._take, pace=self._pace, kinds=kinds)
        fabrics = FabricWatch(api, self.registered.name, self._take_fabrics, pace=self._pace)
        self._away = ""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(fabrics.run())
            group.create_task(self._renew_keys(api))
            group.create_task(self._renew_token(api))

    def _take(self, watched: WatchedCluster) -> None:
        if bool(watched.away) != bool(self._watched and self._watched.away):
            logger.warning("cluster %s: %s", self.registered.name, watched.away or "its API answers again")
        self._watched = replace(watched, facts=_own_agents(watched.facts, self.registered.trusted.namespace))
        pods = {pod.uid: pod.agent.node for pod in self._watched.facts.agent_pods}
        is_all = not watched.away and "pods" not in watched.facts.unread
        self._admission.know_pods(self.registered.name, pods, vouched=is_all)

    def _take_fabrics(self, fabrics: tuple[FabricFacts, ...]) -> None:
        before = {unread for facts in self._fabrics for unread in facts.unread}
        for facts in fabrics:
            for unread in facts.unread:
                if unread not in before:
                    # A whole kind is a matter of rights, which a fabric that is not used does not need.
                    level = logging.WARNING if unread.field else logging.INFO
                    logger.log(level, "cluster %s: %s: %s", self.registered.name, facts.fabric, unread)
        self._fabrics = fabrics

    async def _renew_keys(self, api: ClusterApi) -> None:
        while True:
            try:
                issuer = await read_issuer(api)
            except NetprobeError as error:
                logger.debug("cluster %s: its keys cannot be read: %s", self.registered.name, error)
            else:
                self._take_keys(replace(self.trusted, issuer=issuer.name, keys=issuer.keys))
                self._admission.stale.discard(self.registered.name)
            await self._wait_for_keys()

    async def _renew_token(self, api: ClusterApi) -> None:
        """The token with which *api* is asked, where it is one that expires."""
        access, account = self.registered.access, self.registered.account
        if account and access is not None and access.file is not None:
            await keep_token_fresh(api, access.file, account, namespace=self.registered.trusted.namespace)

    def _take_keys(self, trusted: TrustedCluster) -> None:
        if len(trusted.keys) > MAX_KEYS:
            logger.warning(
                "cluster %s: has %d keys; the first %d count",
                self.registered.name,
                len(trusted.keys),
                MAX_KEYS,
            )
            trusted = replace(trusted, keys=trusted.keys[:MAX_KEYS])
        if trusted != self.trusted:
            kids = ", ".join(str(key.get("kid")) for key in trusted.keys)
            logger.info("cluster %s: signs with %s", self.registered.name, kids)
            self.trusted = trusted
            self._changed()

    async def _wait_for_keys(self) -> None:
        """Until it is time, or until a token names an unknown key."""
        await asyncio.sleep(KEYS_PAUSE_S)
        waited_s = KEYS_PAUSE_S
        while self.trusted.keys and waited_s < KEYS_EVERY_S:
            if self.registered.name in self._admission.stale:
                return
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S


def _own_agents(facts: ClusterFacts, namespace: str) -> ClusterFacts:
    """Without agents of other namespaces: visit agents have the same labels and never report to us."""
    pods = tuple(pod for pod in facts.agent_pods if pod.namespace == namespace)
    return replace(facts, agent_pods=pods, agents=frozenset(pod.agent for pod in pods if pod.runs))
