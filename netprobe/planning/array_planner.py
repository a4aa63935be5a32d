"""The checks of `fleet_plan.plan_fleet` as arrays, for fleets whose plan as objects is too large.

Rule: pairs, components and legs are the same: pairs come from `pairs`, routes between clusters from `routes`;
only rows inside clusters, which are nearly all in a large fleet, are computed as arrays. Budgets are ignored;
a fleet small enough for a full mesh needs no arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, compress

import numpy as np
import numpy.typing as npt

from netprobe.errors import MisuseError
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.check import Check
from netprobe.model.component import (
    dns,
    gateway_in,
    gateway_out,
    service,
)
from netprobe.model.inventory import Inventory
from netprobe.model.names import Plane
from netprobe.planning.array_rows import ArrayPlan, RowBlocks
from netprobe.planning.checks import (
    CLUSTERSET,
    ask_link_ends,
    ask_outer,
    find_exported,
)
from netprobe.planning.cluster_graph import (
    V4,
    V6,
    ClusterGraph,
    by_family,
)
from netprobe.planning.pairs import find_pair_numbers
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
from netprobe.planning.traffic_profiles import encode, find_profile


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
    found = find_pair_numbers(graph, epoch=epoch, seed=seed, policy=policy)
    writer.ask_inside(*_once(found.inside, found.is_inside_rich))
    writer.ask_across(*_once(found.across, found.is_across_rich))
    writer.ask_mixed(found.mixed)
    writer.ask_outer()
    writer.ask_link_ends()
    writer.ask_served()
    return writer.finish()


def _once(pairs: IntArray, is_rich: BoolArray) -> tuple[IntArray, BoolArray]:
    """Each pair once, at its first position, and whether it is rich anywhere."""
    codes = pairs[:, 0] * (pairs.max(initial=0) + 1) + pairs[:, 1]
    _, first, number = np.unique(codes, return_index=True, return_inverse=True)
    rich = np.bincount(number.reshape(-1), is_rich, len(first)) > 0
    order = np.argsort(first)
    return pairs[first[order]], rich[order]


_UDP = encode(protocol="udp")


class _Writer:
    """Writes the rows of one plan."""

    def __init__(self, graph: ClusterGraph, policy: PlanPolicy) -> None:
        self.graph, self.policy = graph, policy
        self.numbering = PartNumbers(tuple(graph.node_of), graph.inventory.agent_port, graph.place_of)
        self.rows = RowBlocks()
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
        self.is_worker = np.array([node not in graph.gateways for node in nodes], np.int64)
        self.pod_mtu = np.array([mtus[node.cluster] for node in nodes], np.int64)

    # --- between agents ------------------------------------------------------------------------

    def ask_inside(self, ends: IntArray, rich: BoolArray) -> None:
        """Pod to pod, host to host and host to pod; pods are connected by the overlay, hosts directly."""
        there, back = self._number_overlays(ends)
        middles = ([there], [back])
        none = np.zeros(len(ends), np.bool_)
        large = self.pod_mtu[ends].min(axis=1)
        self._ask(ends, rich, rich, (Plane.POD, Plane.POD), middles, mtu=large)
        if self.policy.with_host_plane:
            self._ask(ends, rich & ~self._have_pods(ends), none, (Plane.HOST, Plane.HOST), ([], []))
            self._ask(ends, none, none, (Plane.HOST, Plane.POD), middles)

    def _have_pods(self, ends: IntArray) -> BoolArray:
        runs = self.graph.agent_runs[Plane.POD]
        have: BoolArray = runs[ends[:, 0]] & runs[ends[:, 1]]
        return have

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
        carried = np.array([self.graph.carries_hosts(one, other) for one, other in pairs], np.bool_)
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
            self._ask(near, some, some, (Plane.POD, Plane.POD), (middles[0], middles[1]), mtu=large)
            if self.policy.with_host_plane:
                large, opens = np.where(site[places], large, 0), some & ~self._have_pods(near)
                kept = np.flatnonzero(carried[places])
                ways = tuple([middle[kept] for middle in middles[side]] for side in (0, 1))
                self._ask(
                    near[kept], some[kept], opens[kept], (Plane.HOST, Plane.HOST), (ways[0], ways[1]),
                    mtu=large[kept],
                )  # fmt: skip

    def ask_mixed(self, ends: IntArray) -> None:
        """Hosts that ask pods of other clusters, with one UDP check each."""
        nodes = self.numbering.nodes
        for row in range(len(ends)):
            one, other = (nodes[place] for place in ends[row].tolist())
            middles = (
                find_middle(self.graph, source=one, target=other),
                find_middle(self.graph, source=other, target=one),
            )
            if middles[0] is None or middles[1] is None:
                continue
            there, back = (
                [np.array([self.numbering.number(part)]) for part in each or ()] for each in middles
            )
            probes = [(UDP, self._able(ends[row : row + 1], (Plane.HOST, Plane.POD))[0], _UDP)]
            self._add(ends[row : row + 1], probes, (Plane.HOST, Plane.POD), (there, back))

    def _able(self, ends: IntArray, planes: tuple[Plane, Plane]) -> tuple[BoolArray, BoolArray]:
        """Pairs with a common family, the target's main one; and those that have IPv6 beside IPv4."""
        source, target = ends[:, 0], ends[:, 1]
        here, there = ({family: self.has[plane, family] for family in (V4, V6)} for plane in planes)
        main_4, both_6 = there[V4][target], here[V6][source] & there[V6][target]
        return (main_4 & here[V4][source]) | (~main_4 & both_6), main_4 & both_6

    def _ask(
        self,
        ends: IntArray,
        rich: BoolArray,
        opens: BoolArray,
        planes: tuple[Plane, Plane],
        middles: tuple[list[IntArray], list[IntArray]],
        *,
        mtu: IntArray | None = None,
    ) -> None:
        """The base probes of every pair, the variants of *rich* pairs, new flows of pairs that open some."""
        able, also_6 = self._able(ends, planes)
        probes = [
            (ICMP, able, encode(protocol="icmp")),
            (UDP, able, _UDP),
            (TCP, able & rich, encode(protocol="tcp", flow="new")),
            (UDP, rich & also_6, _UDP + encode(family="IPv6")),
            (UDP, able & opens, _UDP + encode(flow="new")),
        ]
        if mtu is not None:
            probes.append((UDP, able & rich & (mtu > 0), _UDP + encode(size="large")))
        self._add(ends, probes, planes, middles)

    def _add(
        self,
        ends: IntArray,
        probes: Iterable[tuple[int, BoolArray, int]],
        planes: tuple[Plane, Plane],
        middles: tuple[list[IntArray], list[IntArray]],
    ) -> None:
        source, target = ends[:, 0], ends[:, 1]
        # Without IPv4 at the target, the main family is IPv6.
        main_6 = np.where(self.has[planes[1], V4][target], 0, encode(family="IPv6"))
        for port_number, chosen, profile in probes:
            rows = np.flatnonzero(chosen)
            out = self._leg(source[rows], target[rows], planes, [middle[rows] for middle in middles[0]])
            back = self._leg(
                target[rows], source[rows], planes[::-1], [middle[rows] for middle in middles[1]]
            )
            profiles = self._profiles(ends[rows], planes, profile + main_6[rows])
            self.rows.add([*out, self._of(port_number, target[rows])], back, profiles)

    def _profiles(
        self, ends: IntArray, planes: tuple[Plane, Plane], profile: IntArray
    ) -> tuple[IntArray, IntArray]:
        """*profile* with planes, roles and direction, out and back."""
        here, there = planes[0].value, planes[1].value
        out = encode(source_plane=here, target_plane=there)
        back = encode(source_plane=there, target_plane=here, role="answer")
        source, target = (
            self.is_worker[ends[:, side]] | (plane is Plane.POD) for side, plane in enumerate(planes)
        )
        sent, told = encode(source_role="forwarded"), encode(target_role="forwarded")
        return (
            profile + out + source * sent + target * told,
            profile + back + target * sent + source * told,
        )

    def _profiles_of(self, check: Check) -> tuple[int, int]:
        out, back = (find_profile(check, self.graph.gateways, is_answer=each) for each in (False, True))
        return out, back

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
                self._profiles_of(question.check),
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
                self._profiles_of(question.check),
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
        indptr, indices, profile = self.rows.finish()
        expected = np.unique(np.concatenate(list(self._expected())))
        size = self.numbering.size
        checks = sum(count for _, count, _ in self.rows.spans) + self.checks_without_legs
        return ArrayPlan(
            self.graph,
            indptr,
            indices,
            size,
            tuple(self.rows.spans),
            checks,
            expected,
            self.numbering,
            profile,
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
