"""From rules to cells."""

from __future__ import annotations

import datetime as dt

import pytest

from netprobe.analysis.intent.document import read_intent
from netprobe.analysis.intent.endpoints import BUILT_IN
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.errors import InputError
from netprobe.model.intent import BUILT_IN_GROUPS
from netprobe.model.inventory import Cluster, Inventory, Node, NodeRole, Service
from netprobe.model.names import ClusterName, NodeName

TODAY = dt.date(2026, 11, 25)


def node(name: str, last: int, *, role: NodeRole = NodeRole.WORKER) -> Node:
    return Node(
        NodeName(name), role, host_addresses=(f"10.0.0.{last}",), pod_addresses=(f"10.1.0.{last}", "fd00::1")
    )


INVENTORY = Inventory((
    Cluster(ClusterName("prod"), (node("gw", 1, role=NodeRole.GATEWAY),), environment="live"),
    Cluster(ClusterName("dev"), (node("w1", 2),), (Service("db", "shop", ("10.2.0.1",), 5432, 5432),)),
))  # fmt: skip


def expand(body: str, **options: int) -> list[str]:
    cells = expand_cells(read_intent(f"version: 1\n{body}", source="f", today=TODAY), INVENTORY, **options)
    return [f"{cell.source} {cell.target} {cell.door} {cell.expected} {cell.address}" for cell in cells]


def test_a_rule_becomes_one_cell_per_pair_and_door() -> None:
    assert expand("rules: [{verdict: deny, from: pods, to: services, ports: [tcp/1-2], scope: across}]") == [
        "prod/gw/pod dev/shop/db tcp/1 deny 10.2.0.1",
        "prod/gw/pod dev/shop/db tcp/2 deny 10.2.0.1",
    ]


def test_nobody_is_asked_by_itself() -> None:
    assert expand("rules: [{verdict: allow, from: gateways, to: gateways, ports: [icmp]}]") == []


def test_a_lower_rank_decides() -> None:
    text = (
        "patterns: [{pattern: independent, groups: [pods], ports: [icmp, tcp/1]}]\n"
        "rules: [{verdict: allow, from: pods, to: pods, ports: [tcp/1], scope: across}]\n"
    )
    assert {line.split(" ", 2)[2] for line in expand(text)} == {
        "icmp deny 10.1.0.1", "icmp deny 10.1.0.2", "tcp/1 allow 10.1.0.1", "tcp/1 allow 10.1.0.2"
    }  # fmt: skip


def test_the_default_asks_everybody_for_what_a_rule_allows_to_some() -> None:
    text = (
        "groups: {db: {services: [shop/*]}}\ndefault: deny\nports: []\n"
        "rules: [{verdict: allow, from: nodes, to: db, ports: [tcp/5432]}]\n"
    )
    assert [line for line in expand(text) if " deny " in line] == [
        "dev/w1/pod dev/shop/db tcp/5432 deny 10.2.0.1",
        "prod/gw/pod dev/shop/db tcp/5432 deny 10.2.0.1",
    ]


def test_groups_that_overlap_may_contradict_each_other() -> None:
    text = (
        "groups: {live: {environments: [live]}}\n"
        "rules:\n  - {verdict: allow, from: pods, to: live, ports: [icmp]}\n"
        "  - {verdict: deny, from: pods, to: gateways, ports: [icmp]}\n"
    )
    with pytest.raises(InputError, match=r"^f:5:5: 'rule 2' says deny for prod/gw/pod → prod/gw/host icmp"):
        expand(text)


def test_every_family_where_that_is_wanted() -> None:
    text = "families: all\nrules: [{verdict: allow, from: pods, to: pods, ports: [icmp], scope: across}]"
    assert len(expand(text)) == 4


def test_a_single_outside_address_is_an_endpoint() -> None:
    groups = "groups: {out: {cidrs: [192.0.2.7/32]}}\n"
    text = f"{groups}rules: [{{verdict: deny, from: nodes, to: out, ports: [icmp]}}]"
    assert expand(text) == [
        "dev/w1/host 192.0.2.7 icmp deny 192.0.2.7",
        "prod/gw/host 192.0.2.7 icmp deny 192.0.2.7",
    ]


def test_too_many_cells_are_one_error() -> None:
    with pytest.raises(InputError, match="means more than 100 cells"):
        expand("rules: [{verdict: allow, from: all, to: all, ports: [tcp/1-1000]}]", max_cells=100)


def test_the_built_in_groups_are_the_named_ones() -> None:
    assert tuple(group.name for group in BUILT_IN) == BUILT_IN_GROUPS
