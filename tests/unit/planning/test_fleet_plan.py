"""Plans cover every component, tell single faults apart, and stay small."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model.check import Check, Layer, TargetKind
from netprobe.model.component import ComponentKind, tunnel
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory, Link, LinkKind, Node
from netprobe.model.names import AgentId, ClusterName, NodeId, NodeName, Plane
from netprobe.planning.circulant import assign_slots, node_keys, slot_count
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy
from netprobe.planning.routes import find_routes
from tests.scenarios.default_topology import DEV, PROD, STAGING, build_cluster, build_inventory


def plan(
    inventory: Inventory, *, epoch: int = 1, seed: int = 7, policy: PlanPolicy | None = None
) -> FleetPlan:
    return plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**9, cookie_key=b"key", policy=policy)


def build_fleet(clusters: int, nodes: int) -> Inventory:
    """A full mesh of *clusters* clusters with one gateway and *nodes* - 1 workers each."""
    return build_clusters([nodes] * clusters)


def build_clusters(sizes: list[int]) -> Inventory:
    """A full mesh of clusters of *sizes* nodes; the first node of each is its gateway."""
    names = tuple(ClusterName(f"c{i}") for i in range(len(sizes)))
    built = tuple(
        build_cluster(name, ("gw", *(f"w{j}" for j in range(1, size))), i)
        for i, (name, size) in enumerate(zip(names, sizes, strict=True))
    )
    links = tuple(
        Link(one, other, LinkKind.TUNNEL) for i, one in enumerate(names) for other in names[i + 1 :]
    )
    return Inventory(built, links)


def build_hub(*, transit: bool) -> Inventory:
    """The default clusters without the link from prod to dev; staging may be a transit cluster."""
    whole = build_inventory()
    clusters = (replace(each, transit=transit and each.name == STAGING) for each in whole.clusters)
    return Inventory(tuple(clusters), whole.links[:2])


def is_later(check: Check) -> bool:
    """Whether it is one of the checks that tell classes of traffic apart in a full mesh."""
    is_mixed = check.layer is Layer.HOST_POD and check.target.cluster != check.source.cluster
    return is_mixed or check.probe.option("flow") == "new"


def moved_nodes(cluster: ClusterName, one: tuple[Node, ...], other: tuple[Node, ...]) -> int:
    """Number of nodes of both plans that have another slot."""
    slots = [
        dict(zip(names, assign_slots(node_keys(names), slot_count(len(names))).tolist(), strict=True))
        for names in ([f"{cluster}/{node.name}" for node in nodes] for nodes in (one, other))
    ]
    return sum(slot != slots[0][name] for name, slot in slots[1].items())


def node_pairs(fleet: FleetPlan) -> set[tuple[NodeId, NodeId]]:
    """Pairs of nodes, pod to pod."""
    return {
        (each.agent.node_id, check.target.node)
        for each in fleet.plans
        for check in each.checks
        if check.layer is Layer.POD and check.target.node is not None
    }


def changed_elsewhere(before: FleetPlan, after: FleetPlan) -> set[tuple[NodeId, NodeId]]:
    """Pairs that only one of two plans has, between nodes of both."""
    known = [{each.agent.node_id for each in fleet.plans} for fleet in (before, after)]
    return {pair for pair in node_pairs(before) ^ node_pairs(after) if known[0] & known[1] >= set(pair)}


class TestSmallFleet:
    def test_the_default_lab_is_asked_what_it_was_always_asked(self) -> None:
        """The identity of every check of every agent, in order; the history depends on it.

        New flows and hosts that ask pods of other clusters came later.
        """
        ids = [
            (str(each.agent), [check.id for check in each.checks if not is_later(check)])
            for each in plan(build_inventory()).plans
        ]
        digest = hashlib.blake2b(repr(ids).encode(), digest_size=8).hexdigest()
        assert digest == "08c4c60f86eccaaa"

    def test_every_part_is_covered_and_told_apart(self) -> None:
        coverage = plan(build_inventory()).coverage
        assert (coverage.covered, coverage.identifiable) == (coverage.components, coverage.components)
        assert coverage.classes == ()

    def test_everybody_asks_everybody_on_its_plane(self) -> None:
        asked = {
            (check.source, check.target.name)
            for each in plan(build_inventory()).plans
            for check in each.checks
            if check.layer in {Layer.NODE, Layer.POD}
        }
        assert len(asked) == 7 * 6 * 2

    def test_no_agent_has_more_than_sixty_checks(self) -> None:
        assert max(len(each.checks) for each in plan(build_inventory()).plans) <= 60

    def test_the_plan_does_not_depend_on_the_epoch(self) -> None:
        one, other = (plan(build_inventory(), epoch=epoch) for epoch in (1, 2))
        assert [each.checks for each in one.plans] == [each.checks for each in other.plans]

    def test_large_packets_have_the_smallest_mtu_on_the_way(self) -> None:
        sizes = {check.probe.size for each in plan(build_inventory()).plans for check in each.checks}
        assert sizes == {0, 1370}

    def test_everybody_who_is_asked_knows_who_asks(self) -> None:
        fleet = plan(build_inventory())
        peers = {each.agent: dict(each.peers) for each in fleet.plans}
        for each in fleet.plans:
            for check in each.checks:
                if check.target.kind is TargetKind.AGENT:
                    assert each.agent in peers[AgentId.parse(check.target.name)]

    def test_equal_questions_are_asked_once(self) -> None:
        ids = Counter(check.id for each in plan(build_inventory()).plans for check in each.checks)
        assert set(ids.values()) == {1}

    def test_every_agent_asks_its_services_and_its_dns(self) -> None:
        for each in plan(build_inventory()).plans:
            layers = {check.layer for check in each.checks}
            assert {Layer.SERVICE, Layer.DNS} <= layers


class TestLargeFleet:
    def test_ten_by_hundred_is_covered_and_told_apart_by_one_epoch(self) -> None:
        coverage = plan(build_fleet(10, 100)).coverage
        assert coverage.covered == coverage.components
        assert coverage.identifiable >= 0.999 * coverage.components

    def test_every_node_asks_and_is_asked_about_k_times_inside_its_cluster(self) -> None:
        asks: Counter[NodeId] = Counter()
        asked: Counter[NodeId] = Counter()
        degree = PlanPolicy().degree
        for source, target in node_pairs(plan(build_fleet(2, 30))):
            if source.cluster == target.cluster:
                asks[source] += 1
                asked[target] += 1
        assert len(asks) == len(asked) == 60
        assert max(asks.values()) == max(asked.values()) == degree
        assert asks.total() >= 0.9 * degree * 60  # two offsets may lead to the same node

    def test_offsets_rotate_until_all_pairs_of_a_cluster_were_asked(self) -> None:
        inventory = build_fleet(1, 21)
        policy = PlanPolicy(full_mesh_nodes=2, degree=4)
        epochs = -(-(slot_count(21) - 1) // 4)
        pairs = {
            pair
            for epoch in range(epochs)
            for pair in node_pairs(plan(inventory, epoch=epoch, policy=policy))
        }
        assert len(pairs) == 21 * 20

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 1000), epoch=st.integers(0, 50), nodes=st.integers(6, 12))
    def test_coverage_holds_for_every_seed_and_epoch(self, seed: int, epoch: int, nodes: int) -> None:
        policy = PlanPolicy(full_mesh_nodes=2)
        coverage = plan(build_fleet(3, nodes), seed=seed, epoch=epoch, policy=policy).coverage
        assert coverage.uncovered == ()


class TestChurn:
    """A node that is added or removed changes O(k) other pairs, for any size of the fleet."""

    @pytest.mark.slow
    @settings(max_examples=15, deadline=None)
    @given(
        sizes=st.lists(st.integers(2, 25), min_size=1, max_size=4),
        seed=st.integers(0, 999),
        epoch=st.integers(0, 99),
        degree=st.integers(1, 4),
        data=st.data(),
    )
    def test_what_changes_is_bound_by_how_many_nodes_move(
        self, sizes: list[int], seed: int, epoch: int, degree: int, data: st.DataObject
    ) -> None:
        """Per offset, one pair closes the gap; a displaced node leaves one gap and fills one.

        Across clusters a pair changes only where one of its workers came, went or moved.
        """
        full = build_clusters(sizes)
        place = data.draw(st.integers(0, len(sizes) - 1), label="cluster")
        cluster = full.clusters[place]
        gone = data.draw(st.sampled_from(cluster.nodes[1:]), label="node that comes or goes")
        assume(slot_count(len(cluster.nodes)) == slot_count(len(cluster.nodes) - 1))
        left = tuple(node for node in cluster.nodes if node != gone)
        clusters = (*full.clusters[:place], replace(cluster, nodes=left), *full.clusters[place + 1 :])
        policy = PlanPolicy(full_mesh_nodes=0, degree=degree)
        fleets = [
            plan(inventory, seed=seed, epoch=epoch, policy=policy)
            for inventory in (full, Inventory(clusters, full.links))
        ]
        changed = changed_elsewhere(*fleets)
        moved = moved_nodes(cluster.name, cluster.nodes, left)
        inside = [pair for pair in changed if pair[0].cluster == pair[1].cluster]
        assert all(pair[0].cluster == cluster.name for pair in inside)
        dropped = len(left) if degree >= len(left) else 0  # n nodes have n - 1 offsets: a whole round goes
        assert len(inside) <= degree * (1 + 6 * moved) + dropped
        across = changed - set(inside)
        assert all(cluster.name in {source.cluster, target.cluster} for source, target in across)
        vacated = 1 + 2 * moved  # whose turn it is changes at the slots that are left or filled
        assert len(across) <= 2 * 4 * vacated * (len(sizes) - 1)

    @pytest.mark.slow
    @pytest.mark.parametrize("nodes", [30, 90])
    def test_on_average_few_pairs_change_for_any_size(self, nodes: int) -> None:
        full = build_fleet(3, nodes)
        policy = PlanPolicy(with_host_plane=False, with_variants=False)
        before = plan(full, policy=policy)
        changed = []
        for number in range(1, 13):
            cluster = full.clusters[1]
            left = tuple(node for node in cluster.nodes if node.name != f"w{number}")
            clusters = (full.clusters[0], replace(cluster, nodes=left), full.clusters[2])
            after = plan(Inventory(clusters, full.links), policy=policy)
            changed.append(len(changed_elsewhere(before, after)))
        # A pair that is replaced counts twice; per offset one is, and three more per displaced node.
        assert sum(changed) / len(changed) <= 6 * PlanPolicy().degree

    def test_the_order_of_nodes_says_nothing(self) -> None:
        full = build_fleet(3, 10)
        turned = tuple(replace(each, nodes=each.nodes[::-1]) for each in full.clusters)
        assert node_pairs(plan(full)) == node_pairs(plan(Inventory(turned, full.links)))


class TestManyClusters:
    """Above this number of clusters, pairs are sampled; every link is still crossed."""

    POLICY = PlanPolicy(all_pairs_clusters=4, sampled_groups=1)

    @settings(max_examples=10, deadline=None)
    @given(sizes=st.lists(st.integers(1, 4), min_size=7, max_size=12), epoch=st.integers(0, 50))
    def test_every_part_is_crossed_in_every_epoch(self, sizes: list[int], epoch: int) -> None:
        fleet = plan(build_clusters(sizes), epoch=epoch, policy=self.POLICY)
        assert fleet.coverage.uncovered == ()
        crossed = Counter(part for legs in fleet.legs for part in {*legs.forward, *legs.back})
        tunnels = [part for part in crossed if part.kind is ComponentKind.TUNNEL]
        assert len(tunnels) == len(sizes) * (len(sizes) - 1)

    def test_workers_of_all_pairs_have_their_turn(self) -> None:
        inventory = build_fleet(10, 4)
        pairs = set()
        for epoch in range(3):  # nine remote clusters in groups of three
            asked = node_pairs(plan(inventory, epoch=epoch, policy=self.POLICY))
            workers = {
                (one.cluster, other.cluster) for one, other in asked if "gw" not in {one.node, other.node}
            }
            pairs |= {(one, other) for one, other in workers if one != other}
        assert len(pairs) == 10 * 9

    def test_sampling_asks_less_and_tells_as_much_apart(self) -> None:
        inventory = build_fleet(10, 6)
        every, some = (plan(inventory, policy=policy).coverage for policy in (PlanPolicy(), self.POLICY))
        assert some.checks < 0.75 * every.checks
        assert some.identifiable >= 0.95 * some.components


class TestRoutes:
    def test_pods_of_two_clusters_cross_overlay_gateways_and_tunnel(self) -> None:
        route, *_ = find_routes(
            ClusterGraph(build_inventory()), source=_agent(PROD, "w1", "pod"), target=_agent(DEV, "w1", "pod")
        )
        assert list(map(str, route)) == [
            "pod-out(prod-us-west-1/w1)",
            "node-out(prod-us-west-1/w1)",
            "overlay(prod-us-west-1/w1→prod-us-west-1/gw to dev-on-premise)",
            "overlay(prod-us-west-1/w1→prod-us-west-1/gw)",
            "gateway-out(prod-us-west-1/gw)",
            "tunnel(prod-us-west-1→dev-on-premise)",
            "gateway-in(dev-on-premise/gw)",
            "overlay(dev-on-premise/gw→dev-on-premise/w1)",
            "node-in(dev-on-premise/w1)",
            "pod-in(dev-on-premise/w1)",
        ]

    def test_hosts_of_one_cluster_need_no_overlay(self) -> None:
        route, *_ = find_routes(
            ClusterGraph(build_inventory()),
            source=_agent(PROD, "w1", "host"),
            target=_agent(PROD, "w2", "host"),
        )
        assert [part.kind for part in route] == [ComponentKind.NODE_OUT, ComponentKind.NODE_IN]

    def test_without_a_direct_link_the_way_leads_through_a_transit_cluster(self) -> None:
        partial = build_hub(transit=True)
        route, *_ = find_routes(
            ClusterGraph(partial), source=_agent(PROD, "gw", "pod"), target=_agent(DEV, "gw", "pod")
        )
        assert [part for part in route if part.kind is ComponentKind.TUNNEL] == [
            tunnel(PROD, STAGING),
            tunnel(STAGING, DEV),
        ]

    def test_a_cluster_that_passes_nothing_on_is_no_way_and_coverage_says_so(self) -> None:
        fleet = plan(build_hub(transit=False))
        asked = {frozenset((source.cluster, target.cluster)) for source, target in node_pairs(fleet)}
        assert frozenset((PROD, DEV)) not in asked
        assert {frozenset((PROD, STAGING)), frozenset((STAGING, DEV))} < asked
        assert fleet.coverage.unjoined == ((PROD, DEV),)
        assert fleet.coverage.uncovered == ()

    def test_through_a_transit_cluster_everything_is_joined(self) -> None:
        coverage = plan(build_hub(transit=True)).coverage
        assert (coverage.unjoined, coverage.uncovered) == ((), ())

    def test_no_link_no_question(self) -> None:
        fleet = plan(Inventory(build_inventory().clusters))
        targets = {
            (each.agent.cluster, check.target.node.cluster)
            for each in fleet.plans
            for check in each.checks
            if check.target.node
        }
        assert all(source == target for source, target in targets)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (Link(PROD, ClusterName("mars"), LinkKind.TUNNEL), "unknown cluster 'mars'"),
        (Link(PROD, DEV, LinkKind.TUNNEL, source_gateway=NodeName("w9")), "unknown node prod-us-west-1/w9"),
    ],
    ids=["to nowhere", "from an unknown gateway"],
)
def test_a_link_that_contradicts_the_inventory_is_refused(link: Link, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan(Inventory(build_inventory().clusters, (link,)))


def test_a_node_in_two_linked_clusters_is_refused_and_in_copies_of_a_site_it_is_not() -> None:
    one, other, *_ = build_inventory().clusters
    copy = replace(one, name=other.name)
    link = Link(one.name, other.name, LinkKind.TUNNEL)
    with pytest.raises(
        InputError, match=f"node {one.name}/gw is also listed in another cluster, as {other.name}/gw"
    ):
        plan(Inventory((one, copy), (link,)))
    assert plan(Inventory((one, copy))).plans


def test_a_node_listed_twice_is_refused() -> None:
    cluster = build_inventory().clusters[0]
    with pytest.raises(InputError, match="is given twice"):
        plan(Inventory((cluster, cluster)))


def _agent(cluster: ClusterName, node: str, plane: str) -> AgentId:
    return AgentId(cluster, NodeName(node), Plane(plane))
