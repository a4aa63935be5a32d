"""Properties of plans for fleets of every shape: hub and spoke, meshes, single nodes, several gateways."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netprobe.model.check import Check
from netprobe.model.component import Component, ComponentKind
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, NodeRole
from netprobe.model.names import CheckId, ClusterName, NodeName
from netprobe.planning.circulant import slot_count
from netprobe.planning.cluster_graph import ClusterGraph
from netprobe.planning.policy import PlanPolicy
from tests.scenarios.default_topology import build_cluster
from tests.unit.planning.test_fleet_plan import changed_elsewhere, moved_nodes, plan

GATEWAYS = (NodeName("gw"), NodeName("gw2"))
SPARSE = PlanPolicy(full_mesh_nodes=0, with_variants=False)
few = settings(max_examples=20, deadline=None)


@dataclass(frozen=True, slots=True)
class Place:
    """One cluster to build: number of workers and gateways, and whether the second is on standby."""

    workers: int
    gateways: int
    passive: bool

    def build(self, number: int, *, transit: bool) -> Cluster:
        names = (*GATEWAYS[: self.gateways], *(f"w{worker}" for worker in range(self.workers)))
        built = build_cluster(ClusterName(f"c{number}"), names, number)
        nodes = list(built.nodes)
        if self.gateways == 2:
            outer = (f"203.0.113.{100 + number}",)
            nodes[1] = replace(nodes[1], role=NodeRole.GATEWAY, outer_addresses=outer, passive=self.passive)
        return replace(built, nodes=tuple(nodes), transit=transit)


places = st.builds(Place, workers=st.integers(0, 4), gateways=st.integers(1, 2), passive=st.booleans())


@st.composite
def fleets(draw: st.DrawFn) -> Inventory:
    """Up to five clusters; two connected ones that both have a second gateway have two links."""
    drawn = draw(st.lists(places, min_size=1, max_size=5))
    pairs = [(one, other) for one in range(len(drawn)) for other in range(one + 1, len(drawn))]
    shape = draw(st.sampled_from(["hub", "mesh", "partial mesh"]))
    if shape == "hub":
        pairs = [pair for pair in pairs if pair[0] == 0]
    if shape == "partial mesh":
        pairs = [pair for pair in pairs if draw(st.booleans())]
    clusters = tuple(
        place.build(number, transit=shape == "hub" and not number) for number, place in enumerate(drawn)
    )
    kinds = st.sampled_from(LinkKind)
    links = tuple(
        Link(ClusterName(f"c{one}"), ClusterName(f"c{other}"), draw(kinds), "", gateway, gateway)
        for one, other in pairs
        for gateway in GATEWAYS[: min(drawn[one].gateways, drawn[other].gateways)]
    )
    return Inventory(clusters, links)


def carries(inventory: Inventory, link: Link) -> bool:
    """Whether both gateways of a link are active."""
    return not any(
        node.passive and node.name == gateway
        for name, gateway in ((link.source, link.source_gateway), (link.target, link.target_gateway))
        for cluster in inventory.clusters
        if cluster.name == name
        for node in cluster.nodes
    )


def find_crossed(fleet: FleetPlan) -> set[Component]:
    return {part for legs in fleet.legs for part in (*legs.forward, *legs.back)}


def find_used(fleet: FleetPlan) -> Counter[tuple[str, str]]:
    """Probes per interval of each agent, each cluster and each direction of a link."""
    checks: dict[CheckId, Check] = {check.id: check for each in fleet.plans for check in each.checks}
    used: Counter[tuple[str, str]] = Counter()
    for legs in fleet.legs:
        check = checks[legs.check]
        used["agent", str(check.source)] += check.count
        used["cluster", check.source.cluster] += check.count
        for part in {*legs.forward, *legs.back}:
            if part.kind is ComponentKind.TUNNEL:
                used["tunnel", str(part)] += check.count
    return used


@few
@given(inventory=fleets(), epoch=st.integers(0, 50), whole=st.booleans())
def test_every_part_that_has_a_path_is_covered(inventory: Inventory, epoch: int, whole: bool) -> None:
    policy = replace(SPARSE, full_mesh_nodes=99 if whole else 0)
    fleet = plan(inventory, epoch=epoch, policy=policy)
    active = [link for link in inventory.links if carries(inventory, link)]
    joined = {name for link in active for name in (link.source, link.target)}
    alone = {c.name for c in inventory.clusters if len(c.nodes) == 1 and c.name not in joined}
    assert all(part.cluster in alone for part in fleet.coverage.uncovered)
    crossed = find_crossed(fleet)
    tunnels = [part for part in crossed if part.kind is ComponentKind.TUNNEL]
    assert len(tunnels) == 2 * len(active)
    for cluster in inventory.clusters:
        for node in cluster.nodes if cluster.name not in alone else ():
            kinds = {part.kind for part in crossed if part.node == cluster.node_id(node)}
            assert kinds >= {ComponentKind.POD_OUT, ComponentKind.POD_IN, ComponentKind.NODE_OUT,
                             ComponentKind.NODE_IN}  # fmt: skip
            assert not (node.passive and ComponentKind.GATEWAY_OUT in kinds)


@few
@given(inventory=fleets(), epoch=st.integers(0, 50), slack=st.integers(0, 12))
def test_budgets_are_never_exceeded_and_cost_no_coverage(
    inventory: Inventory, epoch: int, slack: int
) -> None:
    """Budgets just large enough for the base checks, and a little larger."""
    base = plan(inventory, epoch=epoch, policy=SPARSE)
    needed: Counter[str] = Counter()
    for (kind, _), number in find_used(base).items():
        needed[kind] = max(needed[kind], number)
    limits = {kind: needed[kind] + slack or None for kind in ("agent", "cluster", "tunnel")}
    policy = replace(
        SPARSE,
        with_variants=True,
        agent_budget=limits["agent"],
        cluster_budget=limits["cluster"],
        tunnel_budget=limits["tunnel"],
    )
    fleet = plan(inventory, epoch=epoch, policy=policy)
    for (kind, name), number in find_used(fleet).items():
        limit = limits[kind]
        assert limit is not None
        assert number <= limit, (kind, name)
    assert fleet.coverage.uncovered == base.coverage.uncovered
    asked = {check.id for each in fleet.plans for check in each.checks}
    assert asked >= {check.id for each in base.plans for check in each.checks}


@few
@given(inventory=fleets(), epoch=st.integers(0, 50), data=st.data())
def test_removing_a_worker_changes_few_other_pairs(
    inventory: Inventory, epoch: int, data: st.DataObject
) -> None:
    """The bound of ``test_fleet_plan`` holds for any shape: gateways of a link always ask each other."""
    with_workers = [c for c in inventory.clusters if len(c.nodes) > len(c.gateways)]
    assume(with_workers)
    cluster = data.draw(st.sampled_from(with_workers), label="cluster")
    workers = [node for node in cluster.nodes if node.role is NodeRole.WORKER]
    gone = data.draw(st.sampled_from(workers), label="worker that goes")
    assume(slot_count(len(cluster.nodes)) == slot_count(len(cluster.nodes) - 1))
    left = tuple(node for node in cluster.nodes if node != gone)
    clusters = tuple(replace(c, nodes=left) if c == cluster else c for c in inventory.clusters)
    before, after = (
        plan(each, epoch=epoch, policy=SPARSE) for each in (inventory, replace(inventory, clusters=clusters))
    )
    changed = changed_elsewhere(before, after)
    moved = moved_nodes(cluster.name, cluster.nodes, left)
    inside = {pair for pair in changed if pair[0].cluster == pair[1].cluster}
    assert {source.cluster for source, _ in inside} <= {cluster.name}
    assert len(inside) <= SPARSE.degree * (1 + 6 * moved)
    across = changed - inside
    assert all(cluster.name in {source.cluster, target.cluster} for source, target in across)
    assert len(across) <= 2 * 4 * (1 + 2 * moved) * (len(inventory.clusters) - 1)
    fabric = ClusterGraph(inventory)
    hops = [hop for name in fabric.cluster_of for hop in fabric.hops_from(name)]
    assert not across & {(hop.source_gateway, hop.target_gateway) for hop in hops}
