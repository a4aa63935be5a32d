"""The topology graph for other tools: one function per format and one line in ``FORMATS``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from netprobe.errors import InputError
from netprobe.model.clean_text import clean


@dataclass(frozen=True, slots=True)
class GraphFormat:
    """One output format of the graph."""

    suffix: str
    about: str
    write: Callable[[nx.MultiDiGraph[str]], str]


def to_graphml(graph: nx.MultiDiGraph[str]) -> str:
    """GraphML, readable by Gephi, yEd, Cytoscape and graphology.

    Every id is unique, as GraphML 1.1 wants it; names of edges are not, all of ``contains`` are called so.
    An edge's name is its attribute ``key``. Texts are cleaned, as XML cannot hold every character.
    """
    numbered: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for name, data in graph.nodes(data=True):
        numbered.add_node(clean(name), **_cleaned(data))
    for number, (source, target, key, data) in enumerate(graph.edges(keys=True, data=True)):
        said: dict[str, Any] = {"key_": clean(key), **_cleaned(data)}
        edge: Any = clean(source), clean(target), f"e{number}", said  # with a key, which the stubs leave out
        numbered.add_edges_from([edge])
    return _write_graphml(numbered)


def _cleaned(data: Mapping[str, object]) -> dict[str, object]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in data.items()}


def _write_graphml(graph: nx.MultiDiGraph[str]) -> str:
    """An edge's key becomes its id."""
    lines = nx.generate_graphml(graph)
    return "\n".join(line.replace('attr.name="key_"', 'attr.name="key"') for line in lines) + "\n"


def to_node_link(graph: nx.MultiDiGraph[str]) -> str:
    """Node-link JSON, readable by ``networkx.node_link_graph`` and d3."""
    data = nx.node_link_data(graph, edges="edges")
    return json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def to_dot(graph: nx.MultiDiGraph[str]) -> str:
    """Graphviz DOT: clusters as subgraphs, state as colour and line style, broken edges labelled."""
    lines = ["digraph netprobe {", '  graph [compound=true, fontname="sans-serif", rankdir=LR];',
             '  node [shape=box, style=rounded, fontname="sans-serif"];',
             '  edge [fontname="sans-serif", fontsize=10];']  # fmt: skip
    for name, data in graph.nodes(data=True):
        if data["kind"] == "cluster":
            lines += _dot_cluster(graph, name, data)
    for source, target, key, data in graph.edges(keys=True, data=True):
        if data["kind"] != "contains":
            lines.append(f"  {_quote(source)} -> {_quote(target)} [{_dot_edge(data, key)}];")
        elif graph.nodes[target]["kind"] == "agent":
            lines.append(f"  {_quote(source)} -> {_quote(target)} [arrowhead=none, color=gray];")
    return "\n".join([*lines, "}"]) + "\n"


_DOT_STYLES: Mapping[str, tuple[str, str]] = {
    "up": ("#56718a", "solid"),
    "degraded": ("#e69f00", "dashed"),
    "down": ("#d55e00", "bold"),
    "unknown": ("#8c8c8c", "dotted"),
}


def _dot_cluster(graph: nx.MultiDiGraph[str], cluster: str, data: Mapping[str, str]) -> list[str]:
    inside = [
        f"    {_quote(name)} [{_dot_node(each)}];"
        for name, each in graph.nodes(data=True)
        if each.get("cluster") == cluster
    ]
    title = f"{cluster} ({data['state']})"
    return [f"  subgraph {_quote('cluster_' + cluster)} {{", f"    label={_quote(title)};", *inside, "  }"]


def _dot_node(data: Mapping[str, str]) -> str:
    shape = {"agent": "ellipse", "service": "hexagon", "dns": "hexagon"}.get(data["kind"], "box")
    colour, style = _DOT_STYLES[data["state"]]
    return f'label={_quote(data["label"])}, shape={shape}, color="{colour}", style={_quote(style)}'


def _dot_edge(data: Mapping[str, object], key: str) -> str:
    colour, style = _DOT_STYLES[str(data["state"])]
    attributes = f'color="{colour}", style={style}, tooltip={_quote(key)}'
    label = str(data.get("headline") or data.get("mechanism") or "")
    return f"{attributes}, label={_quote(label)}" if label else attributes


def _quote(text: str) -> str:
    """Quote a DOT string; names from an inventory may contain any character."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


FORMATS: Mapping[str, GraphFormat] = {
    "graphml": GraphFormat(".graphml", "GraphML for Gephi, yEd, Cytoscape", to_graphml),
    "node-link": GraphFormat(".graph.json", "node-link JSON for networkx and d3", to_node_link),
    "dot": GraphFormat(".dot", "Graphviz", to_dot),
}
"""Every export by name: adding one is a function and a line."""


def export_graph(graph: nx.MultiDiGraph[str], name: str) -> str:
    """Write *graph* in the format called *name*; an unknown name is an :class:`InputError`."""
    if name not in FORMATS:
        raise InputError(f"unknown graph format {name!r}; choose one of {', '.join(FORMATS)}")
    return FORMATS[name].write(graph)
