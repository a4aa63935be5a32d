"""Topology files: the default is valid, and every mistake is one line with its position."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from netprobe.errors import InputError
from netprobe.lab.topology import load_topology, parse_topology

DEFAULT = resources.files("netprobe.lab").joinpath("topologies/default.yaml").read_text()


def test_the_default_has_three_clusters_in_a_triangle() -> None:
    topology = load_topology(None)
    assert [cluster.name for cluster in topology.clusters] == [
        "prod-us-west-1",
        "staging-eu-central-1",
        "dev-on-premise",
    ]
    assert len(topology.links) == 3


def swap(old: str, new: str) -> str:
    assert old in DEFAULT
    return DEFAULT.replace(old, new, 1)


MISTAKES = {
    "unknown cluster in a link": (
        swap("target: dev-on-premise, kind: tunnel", "target: dev-on-mars, kind: tunnel"),
        "links[1].target: unknown cluster 'dev-on-mars'",
    ),
    "link to itself": (
        swap("target: staging-eu-central-1, kind", "target: prod-us-west-1, kind"),
        "links[0].target: connects 'prod-us-west-1' with itself",
    ),
    "joined twice": (
        swap(
            "{source: prod-us-west-1, target: dev-on-premise",
            "{source: dev-on-premise, target: staging-eu-central-1",
        ),
        "links[2]: dev-on-premise and staging-eu-central-1 already have a link",
    ),
    "one of two links shares flows": (
        swap(
            "{source: prod-us-west-1, target: dev-on-premise, kind: direct",
            "{source: dev-on-premise, target: staging-eu-central-1, balanced: true, kind: direct",
        ),
        "links[2]: dev-on-premise and staging-eu-central-1 already have a link",
    ),
    "shares flows with a daemon": (
        swap("kind: tunnel, mtu: 1420", "kind: tunnel, mtu: 1380, mechanism: openvpn, balanced: true"),
        "links[0].balanced: only WireGuard and direct links share flows",
    ),
    "overlapping ranges": (
        swap("pod_cidrs: [10.112.0.0/16", "pod_cidrs: [10.111.0.0/16"),
        "clusters[1].pod_cidrs[0]: 10.111.0.0/16 overlaps 10.111.0.0/16 of prod-us-west-1 pod_cidrs",
    ),
    "not an address": (
        swap("node_cidrs: [10.11.0.0/24", "node_cidrs: [10.11.0.300/24"),
        "clusters[0].node_cidrs[0]: '10.11.0.300/24' is not an address range",
    ),
    "range too small": (
        swap("node_cidrs: [10.11.0.0/24", "node_cidrs: [10.11.0.0/28"),
        "clusters[0].node_cidrs[0]: 10.11.0.0/28 is too small",
    ),
    "IPv6 missing": (
        swap('node_cidrs: [10.11.0.0/24, "fd00:11::/64"]', "node_cidrs: [10.11.0.0/24]"),
        "clusters[0].node_cidrs: needs one IPv4 range and one IPv6 range",
    ),
    "no gateway": (
        swap("{name: gw, role: gateway}", "{name: gw}"),
        "clusters[0].nodes: needs exactly one node with role gateway, has 0",
    ),
    "node name twice": (
        swap("{name: w2}", "{name: w1}"),
        "clusters[0].nodes[2].name: the name 'w1' is taken",
    ),
    "cluster named like a router": (
        swap("name: prod-us-west-1", "name: transit-west"),
        "clusters[0].name: the name 'transit-west' is given twice",
    ),
    "unknown transit": (
        swap("transit: transit-east\n    overlay", "transit: transit-north\n    overlay"),
        "clusters[1].transit: unknown transit router 'transit-north'",
    ),
    "unknown field": (swap("pod_mtu: 1420", "pod_mtux: 1420"), "unknown field 'pod_mtux'"),
    "mechanism of a direct link": (
        swap("kind: direct, mtu", "kind: direct, mechanism: ipsec, mtu"),
        "a direct link has no mechanism",
    ),
    "mtu that OpenVPN cannot carry": (
        swap("kind: tunnel, mtu: 1420", "kind: tunnel, mechanism: openvpn, mtu: 1420"),
        "the MTU of openvpn over 1500 bytes is at most 1380",
    ),
    "two IPsec links at one gateway": (
        DEFAULT.replace("kind: tunnel, mtu: 1420", "kind: tunnel, mechanism: ipsec, mtu: 1380"),
        "a gateway can have only one IPsec link",
    ),
    "mtu that does not fit": (swap("kind: tunnel, mtu: 1420", "kind: tunnel, mtu: 1480"), "at most 1420"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_says_where(name: str) -> None:
    text, what = MISTAKES[name]
    with pytest.raises(InputError) as caught:
        parse_topology(text, source="lab.yaml")
    assert what in str(caught.value)
    assert str(caught.value).startswith("lab.yaml:")
    assert "\n" not in str(caught.value)


def test_an_error_names_line_and_column() -> None:
    text = swap("target: dev-on-premise, kind: tunnel", "target: dev-on-mars, kind: tunnel")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "dev-on-mars" in row)
    with pytest.raises(InputError) as caught:
        parse_topology(text, source="lab.yaml")
    assert caught.value.where.startswith(f"lab.yaml:{line}:")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read: No such file"):
        load_topology(tmp_path / "none.yaml")
