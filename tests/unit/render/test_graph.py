"""The topology graph and its export formats."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from syrupy.assertion import SnapshotAssertion

from netprobe.errors import InputError
from netprobe.model.inventory import Inventory
from netprobe.render.documents.graph_exports import FORMATS, export_graph
from netprobe.render.graph import build_graph
from tests import fleets


def kinds(graph: nx.MultiDiGraph[str]) -> dict[str, int]:
    seen: dict[str, int] = {}
    for _, data in graph.nodes(data=True):
        seen[data["kind"]] = seen.get(data["kind"], 0) + 1
    return seen


def test_everything_of_the_inventory_stands_in_the_graph() -> None:
    graph = build_graph(fleets.healthy())
    assert kinds(graph) == {"cluster": 3, "node": 7, "service": 3, "dns": 3, "agent": 14}


def test_a_link_is_two_edges_between_gateways_named_as_findings_name_them() -> None:
    graph = build_graph(fleets.several())
    tunnels = {
        key: data["state"] for *_, key, data in graph.edges(keys=True, data=True) if data["kind"] == "tunnel"
    }
    assert tunnels == {
        "tunnel(prod-us-west-1→staging-eu-central-1)": "down",
        "tunnel(staging-eu-central-1→prod-us-west-1)": "down",
        "tunnel(staging-eu-central-1→dev-on-premise)": "degraded",
        "tunnel(dev-on-premise→staging-eu-central-1)": "degraded",
        "tunnel(prod-us-west-1→dev-on-premise)": "down",
        "tunnel(dev-on-premise→prod-us-west-1)": "up",
    }


def test_a_broken_edge_carries_its_finding() -> None:
    graph = build_graph(fleets.tunnel_down())
    edge = graph.edges[
        "prod-us-west-1/gw", "staging-eu-central-1/gw", "tunnel(prod-us-west-1→staging-eu-central-1)"
    ]
    assert (edge["finding"], edge["cause"]) == ("tunnel-down-1f2e", "tunnel-down")


def test_what_is_not_known_is_left_out_and_never_zero() -> None:
    graph = build_graph(fleets.tunnel_down())
    edge = graph.edges[
        "prod-us-west-1/gw", "staging-eu-central-1/gw", "tunnel(prod-us-west-1→staging-eu-central-1)"
    ]
    assert "rtt_ms" not in edge
    assert "loss" not in edge


def test_attributes_are_plain() -> None:
    graph = build_graph(fleets.several())
    on_nodes = [graph.nodes[name] for name in graph]
    on_edges = [graph.edges[edge] for edge in graph.edges(keys=True)]
    assert {type(value) for data in on_nodes + on_edges for value in data.values()} <= {str, int, float, bool}


def test_an_empty_inventory_gives_an_empty_graph() -> None:
    snapshot = fleets.healthy()
    bare = type(snapshot)(snapshot.taken_ns, snapshot.interval_ns, Inventory())
    assert len(build_graph(bare)) == 0


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fleet", [*fleets.EVERY])
def test_node_link_json_comes_back_as_the_same_graph(fleet: str) -> None:
    graph = build_graph(fleets.EVERY[fleet]())
    back = nx.node_link_graph(json.loads(export_graph(graph, "node-link")), edges="edges")
    assert nx.utils.graphs_equal(back, graph)


@pytest.mark.parametrize("fleet", [*fleets.EVERY])
def test_graphml_keeps_every_node_edge_and_attribute(fleet: str) -> None:
    graph = build_graph(fleets.EVERY[fleet]())
    back = nx.parse_graphml(export_graph(graph, "graphml"), force_multigraph=True)
    assert [*back.nodes(data=True)] == [*graph.nodes(data=True)]

    def edges(of: nx.Graph[str]) -> list[tuple[str, str, list[tuple[str, str]]]]:
        return sorted(
            (
                source,
                target,
                sorted((name, str(value)) for name, value in data.items() if name not in ("id", "key")),
            )
            for source, target, data in of.edges(data=True)
        )

    assert edges(back) == edges(graph)


@pytest.mark.parametrize("fleet", fleets.EVERY)
def test_every_id_in_graphml_is_unique(fleet: str) -> None:
    graph = build_graph(fleets.EVERY[fleet]())
    root = ET.fromstring(export_graph(graph, "graphml"))
    for kind in ("edge", "key", "node"):
        ids = [one.get("id") for one in root.iter(f"{{http://graphml.graphdrawing.org/xmlns}}{kind}")]
        assert None not in ids
        assert len(ids) == len(set(ids)), kind
    names = {one.get("id"): one.get("attr.name") for one in root.iter() if one.tag.endswith("}key")}
    keys = [one.text for one in root.iter() if names.get(one.get("key", "")) == "key"]
    assert sorted(filter(None, keys)) == sorted(key for _, _, key in graph.edges(keys=True))


def test_dot_reads_well(snapshot: SnapshotAssertion) -> None:
    assert export_graph(build_graph(fleets.tunnel_down()), "dot") == snapshot


def test_dot_survives_hostile_names() -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node('a"; evil [', kind="cluster", state="up", label='"\\')
    text = export_graph(graph, "dot")
    assert re.sub(r'"(?:\\.|[^"\\])*"', "S", text).count("evil") == 0, "every name stays inside its quotes"


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(InputError, match="unknown graph format 'png'; choose one of graphml, node-link, dot"):
        export_graph(build_graph(fleets.healthy()), "png")


def test_suffixes_differ() -> None:
    assert len({form.suffix for form in FORMATS.values()}) == len(FORMATS)
