"""The checks of `fleet_plan.plan_fleet` as arrays, for fleets whose plan as objects is too large.

Rule: pairs, components and legs are the same: pairs come from `pairs`, routes between clusters from `routes`;
only rows inside clusters, which are nearly all in a large fleet, are computed as arrays. Budgets are ignored;
a fleet small enough for a full mesh needs no arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, compress

import numpy as np
import numpy.typing as npt

from netprobe.errors import MisuseError
from netprobe.model.arrays import IntArray
from netprobe.model.component import (
    Component,
    dns,
    gateway_in,
    gateway_out,
    service,
)
from netprobe.model.inventory import Inventory
from netprobe.model.names import Plane
from netprobe.planning.checks import (
    CLUSTERSET,
    ask_link_ends,
    ask_outer,
    find_exported,
)
from netprobe.planning.circulant import KeyArray
from netprobe.planning.cluster_graph import (
    V4,
    V6,
    ClusterGraph,
    by_family,
)
from netprobe.planning.pairs import find_pair_numbers, select_rich
from netprobe.planning.part_numbers import (
    ICMP,
    IN,
    NAMES,
    OUT,
    POD_IN,
    POD_OUT,
    PROXY,
    TCP,
    UDP,
    PartNumbers,
)
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import find_middle

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ArrayPlan:
    """All legs of one epoch as CSR: row *r* crosses ``indices[indptr[r]:indptr[r + 1]]``."""

    graph: ClusterGraph
    indptr: IntArray
    indices: Numbers
    components: int
    """How many component numbers there are; some belong to no existing component and are never crossed."""
    spans: tuple[tuple[int, int, bool], ...]
    """First row, number of rows, and whether as many rows follow with their legs back."""
    checks: int
    expected: IntArray
    """Components that exist independently of the checks."""
    numbering: PartNumbers

    def component(self, number: int) -> Component:
        """The component with a number."""
        return self.numbering.component(number)


@dataclass(frozen=True, slots=True)
class CoverageCounts:
    """Coverage of the legs."""

    components: int
    covered: int
    identifiable: int
    """Components whose failure looks different from the failure of every other component."""


@dataclass(eq=False)
class _Rows:
    """Rows, written in blocks; all rows of a block have the same length."""

    blocks: list[Numbers] = field(default_factory=list)
    spans: list[tuple[int, int, bool]] = field(default_factory=list)
    count: int = 0

    def add(self, out: Sequence[IntArray], back: Sequence[IntArray] | None = None) -> None:
        """Add legs out by columns, and the legs back of the same checks if they have any."""
        size = len(out[0]) if out else 0
        if not size:
            return
        self.spans.append((self.count, size, back is not None))
        for columns in (out, back) if back is not None else (out,):
            self.blocks.append(np.column_stack(columns).astype(np.int32))
            self.count += size

    def finish(self) -> tuple[IntArray, Numbers]:
        widths = [np.full(len(block), block.shape[1]) for block in self.blocks]
        indptr = np.concatenate(([0], np.cumsum(np.concatenate(widths)))).astype(np.int64)
        return indptr, np.concatenate([block.reshape(-1) for block in self.blocks])


def plan_as_arrays(
    inventory: Inventory, *, epoch: int, seed: int, policy: PlanPolicy | None = None
) -> ArrayPlan:
    """Plan one epoch. Raises `InputError` if the inventory contradicts itself."""
    policy = policy or PlanPolicy()
    graph = ClusterGraph(inventory)
    if len(graph.node_of) <= policy.full_mesh_nodes:
        raise MisuseError(f"{len(graph.node_of)} nodes are planned as a full mesh, which needs no arrays")
    if any(link.balanced for link in inventory.links):
        raise MisuseError("balanced links give legs with several routes, which arrays cannot represent")
    writer = _Writer(graph, policy)
    names = list(map(str, graph.node_of))
    for pairs, ask in zip(
        find_pair_numbers(graph, epoch=epoch, seed=seed, policy=policy),
        (writer.ask_inside, writer.ask_across),
        strict=True,
    ):
        ends = _once(pairs)
        named = ((names[one], names[other]) for one, other in ends.tolist())
        ask(ends, select_rich(named, epoch=epoch, seed=seed, policy=policy))
    writer.ask_outer()
    writer.ask_link_ends()
    writer.ask_served()
    return writer.finish()


def _once(pairs: IntArray) -> IntArray:
    """Each pair once, at its first position."""
    codes = pairs[:, 0] * (pairs.max(initial=0) + 1) + pairs[:, 1]
    return pairs[np.sort(np.unique(codes, return_index=True)[1])]


class _Writer:
    """Writes the rows of one plan."""

    def __init__(self, graph: ClusterGraph, policy: PlanPolicy) -> None:
        self.graph, self.policy = graph, policy
        self.numbering = PartNumbers(tuple(graph.node_of), graph.inventory.agent_port, graph.place_of)
        self.rows = _Rows()
        self.checks_without_legs = 0
        """Number of checks with unknown legs."""
        clusters = {name: place for place, name in enumerate(graph.cluster_of)}
        nodes = self.numbering.nodes
        self.cluster = np.array([clusters[node.cluster] for node in nodes], np.int64)
        self.has: dict[tuple[Plane, int], npt.NDArray[np.bool_]] = {}
        for plane, agent_runs in graph.agent_runs.items():
            addresses = [node.addresses(plane) for node in graph.node_of.values()]
            is_v6 = np.array([any(":" in each for each in own) for own in addresses], np.bool_)
            is_v4 = np.array([any(":" not in each for each in own) for own in addresses], np.bool_)
            self.has |= {(plane, V4): is_v4 & agent_runs, (plane, V6): is_v6 & agent_runs}
        mtus = {name: cluster.pod_mtu for name, cluster in graph.cluster_of.items()}
        self.pod_mtu = np.array([mtus[node.cluster] for node in nodes], np.int64)

    # --- between agents ------------------------------------------------------------------------

    def ask_inside(self, ends: IntArray, rich: npt.NDArray[np.bool_]) -> None:
        """Pod to pod, host to host and host to pod; pods are connected by the overlay, hosts directly."""
        there, back = self._number_overlays(ends)
        middles = ([there], [back])
        self._ask(ends, rich, (Plane.POD, Plane.POD), middles, mtu=self.pod_mtu[ends].min(axis=1))
        if self.policy.with_host_plane:
            none = np.zeros(len(ends), np.bool_)
            self._ask(ends, rich, (Plane.HOST, Plane.HOST), ([], []))
            self._ask(ends, none, (Plane.HOST, Plane.POD), middles)

    def _number_overlays(self, ends: IntArray) -> tuple[IntArray, IntArray]:
        size = len(self.numbering.nodes)
        codes = np.concatenate((ends[:, 0] * size + ends[:, 1], ends[:, 1] * size + ends[:, 0]))
        different, inverse = np.unique(codes, return_inverse=True)
        numbers = self.numbering.number_overlays(different.tolist())
        found = numbers[inverse.reshape(-1)] if len(numbers) else codes
        return found[: len(ends)], found[len(ends) :]

    def ask_across(self, ends: IntArray, rich: npt.NDArray[np.bool_]) -> None:
        """Checks between clusters, with routes from the object planner, grouped by length."""
        nodes = self.numbering.nodes
        pairs = [(nodes[one], nodes[other]) for one, other in ends.tolist()]
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        routes: list[tuple[list[int], list[int]]] = []
        mtu = np.zeros(len(pairs), np.int64)
        site = np.array([self.graph.involves_site(one, other) for one, other in pairs], np.bool_)
        for place, (one, other) in enumerate(pairs):
            there = find_middle(self.graph, source=one, target=other)
            back = find_middle(self.graph, source=other, target=one)
            route = self.graph.route_between(one, other)
            if there is None or back is None or route is None:
                routes.append(([], []))
                continue
            numbers = [list(map(self.numbering.number, middle)) for middle in (there, back)]
            routes.append((numbers[0], numbers[1]))
            groups[len(there), len(back)].append(place)
            mtu[place] = route.mtu
        for places in groups.values():
            middles = tuple(list(np.array([routes[p][side] for p in places]).T) for side in (0, 1))
            near, some = ends[places], rich[places]
            large = np.minimum(self.pod_mtu[near].min(axis=1), mtu[places])
            self._ask(near, some, (Plane.POD, Plane.POD), (middles[0], middles[1]), mtu=large)
            if self.policy.with_host_plane:
                large = np.where(site[places], large, 0)
                self._ask(near, some, (Plane.HOST, Plane.HOST), (middles[0], middles[1]), mtu=large)

    def _ask(
        self,
        ends: IntArray,
        rich: npt.NDArray[np.bool_],
        planes: tuple[Plane, Plane],
        middles: tuple[list[IntArray], list[IntArray]],
        *,
        mtu: IntArray | None = None,
    ) -> None:
        """The base probes of every pair, and the variants of rich pairs."""
        source, target = ends[:, 0], ends[:, 1]
        here, there = ({family: self.has[plane, family] for family in (V4, V6)} for plane in planes)
        main_4 = there[V4][target]
        able = np.where(main_4, here[V4][source], here[V6][source] & there[V6][target])
        probes = [(ICMP, able), (UDP, able), (TCP, able & rich)]
        probes.append((UDP, rich & main_4 & here[V6][source] & there[V6][target]))
        if mtu is not None:
            probes.append((UDP, able & rich & (mtu > 0)))
        for port_number, chosen in probes:
            rows = np.flatnonzero(chosen)
            out = self._leg(source[rows], target[rows], planes, [middle[rows] for middle in middles[0]])
            back = self._leg(
                target[rows], source[rows], planes[::-1], [middle[rows] for middle in middles[1]]
            )
            self.rows.add([*out, self._of(port_number, target[rows])], back)

    def _leg(
        self, source: IntArray, target: IntArray, planes: Sequence[Plane], middle: list[IntArray]
    ) -> list[IntArray]:
        begin = [self._of(POD_OUT, source)] if planes[0] is Plane.POD else []
        end = [self._of(POD_IN, target)] if planes[1] is Plane.POD else []
        return [*begin, self._of(OUT, source), *middle, self._of(IN, target), *end]

    def _of(self, kind: int, nodes: IntArray) -> IntArray:
        return kind * len(self.numbering.nodes) + nodes

    # --- everything else -----------------------------------------------------------------------

    def ask_outer(self) -> None:
        """Gateway to gateway on outer addresses."""
        place_of = self.numbering.place_of
        for question in {each.check.id: each for each in ask_outer(self.graph, self.policy)}.values():
            legs = question.legs
            far_gateway = question.check.target.node
            assert far_gateway is not None  # an outer address is a gateway's
            near, far = place_of[question.check.source.node_id], place_of[far_gateway]
            there, back = (self.numbering.number(leg[1]) for leg in (legs.forward, legs.back))
            one, other = np.array([near]), np.array([far])
            self.rows.add(
                [self._of(OUT, one), np.array([there]), self._of(IN, other)],
                [self._of(OUT, other), np.array([back]), self._of(IN, one)],
            )

    def ask_link_ends(self) -> None:
        """Gateway to gateway over one particular link."""
        place_of = self.numbering.place_of
        for question in {each.check.id: each for each in ask_link_ends(self.graph, self.policy)}.values():
            legs = question.legs
            near, far = place_of[question.check.source.node_id], question.check.target.node
            there, back = (self.numbering.number(leg[1]) for leg in (legs.forward, legs.back))
            assert far is not None
            one, other = np.array([near]), np.array([place_of[far]])
            port_number = ICMP if question.check.probe.kind == "icmp" else UDP
            self.rows.add(
                [self._of(OUT, one), np.array([there]), self._of(IN, other), self._of(port_number, other)],
                [self._of(OUT, other), np.array([back]), self._of(IN, one)],
            )

    def ask_served(self) -> None:
        """Services and DNS names, asked by every agent of their cluster."""
        exported = find_exported(self.graph)
        first = 0
        for name, cluster in self.graph.cluster_of.items():
            nodes = np.arange(first, first + len(cluster.nodes))
            first += len(cluster.nodes)
            for plane in Plane:
                for served in cluster.services:
                    part = self.numbering.number(service(name, served.qualified))
                    probes = ("udp" in served.protocol) + ("tcp" in served.protocol)
                    for address in served.addresses:
                        for _ in range(probes):
                            self._ask_at(nodes[self._reaches(nodes, plane, address)], PROXY, (part,))
                    self._count_endpoints(nodes, plane, served.endpoints, is_asked="tcp" in served.protocol)
                for address in cluster.dns_addresses:
                    able = nodes[self._reaches(nodes, plane, address)]
                    server = self.numbering.number(dns(name))
                    self._ask_at(able, NAMES, (server,))
                    if exported is not None:
                        zone = self.numbering.number(dns(name, zone=CLUSTERSET))
                        self._ask_at(able, NAMES, (server, zone))

    def _reaches(self, nodes: IntArray, plane: Plane, address: str) -> npt.NDArray[np.bool_]:
        return self.has[plane, V6 if ":" in address else V4][nodes]

    def _ask_at(self, nodes: IntArray, proxy: int, parts: Sequence[int]) -> None:
        self.rows.add([self._of(proxy, nodes), *(np.full(len(nodes), part) for part in parts)])

    def _count_endpoints(
        self, nodes: IntArray, plane: Plane, endpoints: Sequence[str], *, is_asked: bool
    ) -> None:
        if not is_asked or not endpoints:
            return
        agents = int(np.count_nonzero(self.has[plane, V4][nodes] | self.has[plane, V6][nodes]))
        self.checks_without_legs += agents * sum(address not in self._known for address in endpoints)

    @cached_property
    def _known(self) -> frozenset[str]:
        every = [
            node.addresses(plane)
            for plane, agent_runs in self.graph.agent_runs.items()
            for node in compress(self.graph.node_of.values(), agent_runs.tolist())
        ]
        plain = chain.from_iterable(own for own in every if len(own) == 1)
        return frozenset(plain).union(*(by_family(own).values() for own in every if len(own) > 1))

    def finish(self) -> ArrayPlan:
        indptr, indices = self.rows.finish()
        expected = np.unique(np.concatenate(list(self._expected())))
        size = self.numbering.size
        checks = sum(count for _, count, _ in self.rows.spans) + self.checks_without_legs
        return ArrayPlan(
            self.graph, indptr, indices, size, tuple(self.rows.spans), checks, expected, self.numbering
        )

    def _expected(self) -> Iterator[IntArray]:
        """As in `coverage`: nodes, service proxies where there are services, gateways and tunnels."""
        every = np.arange(len(self.numbering.nodes))
        served = np.array([bool(each.services) for each in self.graph.cluster_of.values()], np.bool_)
        yield self._of(OUT, every)
        yield self._of(IN, every)
        yield self._of(PROXY, every[served[self.cluster]])
        number = self.numbering.number
        yield np.array(
            [
                number(part)
                for name in self.graph.cluster_of
                for hop in self.graph.hops_from(name)
                for part in (gateway_out(hop.source_gateway), hop.component, gateway_in(hop.target_gateway))
            ],
            np.int64,
        )


def count_coverage(plan: ArrayPlan) -> CoverageCounts:
    """Count covered and identifiable components; equal columns have equal sums of row hashes."""
    length = np.diff(plan.indptr)
    row = np.repeat(_mix(np.arange(1, len(length) + 1, dtype=np.uint64)), length)
    column = np.zeros(plan.components, np.uint64)
    np.add.at(column, plan.indices, row)
    covered = np.bincount(plan.indices, minlength=plan.components) > 0
    exists = covered.copy()
    exists[plan.expected] = True
    _, equal_columns = np.unique(column[covered], return_counts=True)
    return CoverageCounts(int(exists.sum()), int(covered.sum()), int((equal_columns == 1).sum()))


def _mix(numbers: KeyArray) -> KeyArray:
    """Spread numbers over 64 bits (the finaliser of MurmurHash3, Appleby)."""
    mixed = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(33))
