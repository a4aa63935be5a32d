"""The static inventory: what is written reads back, and what does not fit is named with its place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netprobe.discovery.inventory.file import (
    dump_inventory,
    find_overlaps,
    load_inventory,
    read_inventory,
)
from netprobe.errors import InputError
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole, Service
from netprobe.model.names import AgentId, ClusterName, NodeName, Plane

GOOD = """\
clusters:
  - name: prod
    pod_cidrs: [10.1.0.0/16, "fd00:1::/48"]
    nodes:
      - name: gw
        role: gateway
        host_addresses: [192.168.1.1]
        pod_addresses: [10.1.0.2]
        outer_addresses: [203.0.113.1]
      - name: w1
        host_addresses: [192.168.1.2, "fd00::2"]
        pod_addresses: [10.1.1.2]
    services:
      - {name: echo, namespace: netprobe, addresses: [10.96.0.9], port: 80, target_port: 9771}
  - name: dev
    pod_cidrs: [10.2.0.0/16]
    nodes:
      - {name: gw, role: gateway, host_addresses: [192.168.2.1]}
links:
  - {source: prod, target: dev, kind: tunnel, mechanism: wireguard, source_gateway: gw, target_gateway: gw}
agents: [prod/gw/host, prod/w1/pod]
"""

MISTAKES = [
    ("link to an unknown cluster", "target: dev,", "target: dve,", "20:20", "no cluster is called 'dve'"),
    (
        "unknown gateway",
        "target_gateway: gw",
        "target_gateway: g",
        "20:89",
        "cluster 'dev' has no node 'g'",
    ),
    (
        "a worker as gateway",
        "source_gateway: gw",
        "source_gateway: w1",
        "20:69",
        "is a worker, not a gateway",
    ),
    (
        "a worker that stands by",
        "- name: w1",
        "- passive: true\n        name: w1",
        "10:9",
        "only a gateway can be passive",
    ),
    (
        "an end of a link that is not an address",
        "target_gateway: gw}",
        "target_gateway: gw, target_addresses: [10.9.0.300]}",
        "20:128",
        "'10.9.0.300' is not an IP address",
    ),
    (
        "an end of a link at no known gateway",
        "target_gateway: gw}",
        "target_addresses: [10.9.0.2]}",
        "20:89",
        "say by target_gateway whose addresses they are",
    ),
    ("a link with itself", "target: dev,", "target: prod,", "20:20", "joins 'prod' with itself"),
    ("two nodes of one name", "- name: w1", "- name: gw", "10:9", "'gw' is given twice"),
    ("a node in two clusters", "[192.168.2.1]", "[192.168.1.1]", "18:35", "node 'prod/gw' stands in this"),
    ("two clusters of one name", "- name: dev", "- name: prod", "15:5", "'prod' is given twice"),
    ("a slash in a name", "- name: w1", "- name: w/1", "10:9", "'w/1' is not a valid name"),
    ("a name that is a number", "- name: w1", "- name: 11", "10:9", "Expected `str`, got `int`"),
    ("no address", "10.1.1.2]", "10.1.1.256]", "12:25", "'10.1.1.256' is not an IP address"),
    ("not canonical", '"fd00::2"', '"fd00:0::2"', "11:39", "write 'fd00::2'"),
    ("host bits in a network", "[10.1.0.0/16", "[10.1.0.1/16", "3:17", "'10.1.0.1/16' is not a network"),
    ("an address of two nodes", "[10.1.1.2]", "[10.1.0.2]", "12:25", "10.1.0.2 already belongs to node 'gw'"),
    ("a port out of range", "port: 80,", "port: 70000,", "14:67", "70000 is outside 1–65535"),
    ("a port zero", "target_port: 9771", "target_port: 0", "14:77", "0 is outside 1–65535"),
    ("an agent on an unknown node", "prod/w1/pod]", "prod/w2/pod]", "21:24", "no node is called 'prod/w2'"),
    ("an agent without address", "prod/w1/pod]", "dev/gw/pod]", "21:24", "has no pod address"),
    ("no agent id", "prod/w1/pod]", "prod/w1]", "21:24", "is not <cluster>/<node>/pod"),
    ("an agent twice", "prod/w1/pod]", "prod/gw/host]", "21:24", "'prod/gw/host' is given twice"),
    (
        "host bits in a remapped range",
        "pod_cidrs: [10.2.0.0/16]",
        "remapped_cidrs: [10.2.0.1/16]",
        "16:22",
        "'10.2.0.1/16' is not a network",
    ),
    ("an unknown field", "pod_cidrs: [10.2", "pod_cidr: [10.2", "16:5", "unknown field"),
]


def test_reads_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(GOOD)
    inventory = load_inventory(tmp_path / "inventory.yaml")
    assert [cluster.name for cluster in inventory.clusters] == ["prod", "dev"]
    assert inventory.clusters[0].gateways[0].outer_addresses == ("203.0.113.1",)
    assert inventory.links[0].name == "wireguard:prod–dev"
    assert [str(agent) for agent in inventory.iter_agents()] == ["prod/gw/host", "prod/w1/pod"]


@pytest.mark.parametrize(
    ("right", "wrong", "place", "said"),
    [pytest.param(right, wrong, place, said, id=name) for name, right, wrong, place, said in MISTAKES],
)
def test_a_mistake_is_one_line_with_its_place(right: str, wrong: str, place: str, said: str) -> None:
    assert GOOD.count(right) == 1
    with pytest.raises(InputError) as caught:
        read_inventory(GOOD.replace(right, wrong), source="i.yaml")
    line = str(caught.value)
    assert line.startswith(f"i.yaml:{place}: ")
    assert said.replace("`", "'") in line
    assert "\n" not in line


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        load_inventory(tmp_path / "none.yaml")


def test_overlapping_pod_ranges_are_allowed_and_noted() -> None:
    inventory = read_inventory(GOOD.replace("[10.2.0.0/16]", "[10.1.128.0/17]"), source="i.yaml")
    assert [str(overlap) for overlap in find_overlaps(inventory)] == [
        "pod ranges overlap: 10.1.0.0/16 of prod and 10.1.128.0/17 of dev"
    ]
    assert find_overlaps(read_inventory(GOOD, source="i.yaml")) == ()


def test_sites_without_a_link_between_them_may_be_copies_of_each_other() -> None:
    text = GOOD.replace("[192.168.2.1]", "[192.168.1.1]")
    lonely = "\n".join(line for line in text.splitlines() if "links:" not in line and "mechanism" not in line)
    assert len(read_inventory(lonely, source="i.yaml").clusters) == 2


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}[A-Za-z0-9]", fullmatch=True)
addresses = st.ip_addresses().map(str)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
ports = st.integers(1, 65_535)


@st.composite
def clusters(draw: st.DrawFn, name: str) -> Cluster:
    pool = iter(draw(st.lists(addresses, min_size=12, max_size=12, unique=True)))

    def some() -> tuple[str, ...]:
        return tuple(next(pool) for _ in range(draw(st.integers(0, 2))))

    roles = st.sampled_from(((NodeRole.WORKER, False), (NodeRole.GATEWAY, False), (NodeRole.GATEWAY, True)))
    nodes = tuple(
        Node(NodeName(node), role, some(), some(), zone=draw(texts), passive=passive)
        for node in draw(st.lists(names, max_size=3, unique=True))
        for role, passive in (draw(roles),)
    )
    services = tuple(
        Service(
            service, draw(names), (draw(addresses),), draw(ports), draw(ports), exported=draw(st.booleans())
        )
        for service in draw(st.lists(names, max_size=2, unique=True))
    )
    return Cluster(
        ClusterName(name),
        nodes,
        services,
        environment=draw(texts),
        pod_mtu=draw(st.integers(576, 9000)),
        transit=draw(st.booleans()),
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    named = draw(st.lists(names, max_size=3, unique=True))
    built = tuple(draw(clusters(name)) for name in named)
    links = tuple(
        Link(
            ClusterName(one),
            ClusterName(other),
            draw(st.sampled_from(LinkKind)),
            draw(texts),
            balanced=draw(st.booleans()),
        )
        for one, other in pairwise(named)
    )
    everyone = list(Inventory(built).iter_agents())
    agents = draw(st.frozensets(st.sampled_from(everyone))) if everyone else frozenset[AgentId]()
    return Inventory(built, links, agent_port=draw(ports), agents=agents)


@settings(max_examples=60)
@given(inventories())
def test_what_is_written_reads_back(inventory: Inventory) -> None:
    assume(not any(inventory.find_twins()))
    assert read_inventory(dump_inventory(inventory), source="i.yaml") == inventory


def test_every_plane_of_an_agent_is_written() -> None:
    node = Node(NodeName("n"), host_addresses=("192.0.2.1",), pod_addresses=("192.0.2.2",))
    agent = AgentId(ClusterName("c"), NodeName("n"), Plane.POD)
    inventory = Inventory((Cluster(ClusterName("c"), (node,)),), agents=frozenset({agent}))
    assert "c/n/pod" in dump_inventory(inventory)
