"""JSON and YAML documents of one snapshot.

Rule: every document starts with ``schema`` (``netprobe/<name>``) and ``version``; within a version, fields
may be added but never renamed. Times are wall-clock nanoseconds (``_ns``) or ISO 8601; shares are 0–1;
unknown values are null, never 0.

- ``netprobe/topology``: ``clusters[]`` with ``nodes[]`` and their ``agents[]``, ``services[]``; ``links[]``,
  one entry per direction. Who says that a node has its role is its ``source``; of a link it is
  ``known_from``, because its ``source`` is the cluster where it begins.
- ``netprobe/matrix``: ``names``, ``pairs[]`` with the paths by state; pairs without checks are absent.
- ``netprobe/agents``, ``netprobe/coverage``, ``netprobe/findings``: the contents of their tables.
- ``netprobe/diagnosis``: ``findings[]`` with their ``blast_radius`` (node pairs, services);
  past ``incidents[]``.
- ``netprobe/report``: all of these in one document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import networkx as nx

from netprobe.analysis.queries.blast_radius import BlastRadius, find_blast_radius
from netprobe.analysis.queries.unasked import find_unasked
from netprobe.model.finding import Evidence, Finding
from netprobe.model.fleet import ClassGap
from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, AgentStatus, PathState
from netprobe.model.traffic import TrafficCondition
from netprobe.render.graph import build_graph, find_links
from netprobe.render.labels import (
    Names,
    headline,
    is_broken,
    lasted_ns,
    unmeasured,
    verdict,
)
from netprobe.render.reachability import Level, read_matrix

Document: TypeAlias = dict[str, object]
VERSION = 1


def view_document(what: str, snapshot: Snapshot, body: Document) -> Document:
    """The fields that every document begins with, then *body*."""
    return {
        "schema": f"netprobe/{what}",
        "version": VERSION,
        "taken": datetime.fromtimestamp(snapshot.taken_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        "taken_ns": snapshot.taken_ns,
        "interval_ns": snapshot.interval_ns,
        "verdict": verdict(snapshot),
        "broken": is_broken(snapshot),
        "not_measured": unmeasured(snapshot) or None,
        **body,
    }


def topology_document(snapshot: Snapshot) -> Document:
    """Clusters, nodes, agents, services and links with their states."""
    graph = build_graph(snapshot)
    return view_document("topology", snapshot, _topology(graph))


def _topology(graph: nx.MultiDiGraph[str]) -> Document:
    nodes = [(name, graph.nodes[name]) for name in graph]
    links = [
        {
            "source": source.partition("/")[0],
            "target": target.partition("/")[0],
            "source_gateway": source,
            "target_gateway": target,
            "kind": data["link"],
            "mechanism": data["mechanism"],
            "mtu": data["mtu"],
            "outer_port": data["outer_port"] or None,
            "known_from": data["known_from"],
            "remapped": data["remapped"],
            "claimed": data["claimed"] or None,
            **_state_fields(data),
            "loss": data.get("loss"),
            "rtt_ms": data.get("rtt_ms"),
        }
        for source, target, data in find_links(graph)
    ]
    clusters = [_cluster(name, data, nodes) for name, data in nodes if data["kind"] == "cluster"]
    return {"clusters": clusters, "links": links}


def _cluster(name: str, data: Mapping[str, object], nodes: list[tuple[str, dict[str, object]]]) -> Document:
    inside = [(each, attributes) for each, attributes in nodes if attributes.get("cluster") == name]
    return {
        "name": name,
        "environment": data["environment"],
        "region": data["region"],
        "state": data["state"],
        **({"api_away": data["api_away"]} if "api_away" in data else {}),
        "nodes": [
            _node(each, attributes, inside) for each, attributes in inside if attributes["kind"] == "node"
        ],
        "services": [
            {
                "name": attributes["label"],
                "kind": attributes["kind"],
                "addresses": str(attributes["addresses"]).split(),
                **_state_fields(attributes),
            }
            for _, attributes in inside
            if attributes["kind"] in {"service", "dns"}
        ],
    }


def _node(name: str, data: Mapping[str, object], inside: list[tuple[str, dict[str, object]]]) -> Document:
    agents = [
        (each, attributes)
        for each, attributes in inside
        if attributes["kind"] == "agent" and each.startswith(f"{name}/")
    ]
    return {
        "name": data["label"],
        "role": data["role"],
        "source": data["known_from"],
        "addresses": str(data["addresses"]).split(),
        **_state_fields(data),
        "agents": [
            {
                "plane": attributes["plane"],
                "presence": attributes["presence"],
                "addresses": str(attributes["addresses"]).split(),
            }
            for _, attributes in agents
        ],
    }


def _state_fields(data: Mapping[str, object]) -> Document:
    return {"state": data["state"], "paths": data["paths"], "finding": data.get("finding")}


def matrix_document(
    snapshot: Snapshot, *, plane: Plane | None = None, level: Level | None = None
) -> Document:
    """Every ordered pair with checks: its worst state and the number of paths in each state."""
    return view_document("matrix", snapshot, _matrix(snapshot, plane, level or Level.NODE))


def _matrix(snapshot: Snapshot, plane: Plane | None, level: Level) -> Document:
    matrix = read_matrix(snapshot, plane=plane, level=level)
    return {
        "level": level.value,
        "plane": plane.value if plane else None,
        "names": list(matrix.names),
        "pairs": [
            {
                "source": source,
                "target": target,
                "state": cell.state.value,
                "paths": {state.value: cell.count(state) for state in PathState},
            }
            for (source, target), cell in matrix.cells.items()
        ],
    }


def agents_document(snapshot: Snapshot) -> Document:
    """Every agent that should run."""
    body: Document = {"agents": _agents(snapshot), "rejected": dict(snapshot.rejected)}
    return view_document("agents", snapshot, body)


def _agents(snapshot: Snapshot) -> list[Document]:
    known = {status.agent: status for status in snapshot.agents}
    agents = snapshot.inventory.iter_agents()
    return [_agent(known.get(agent, AgentStatus(agent, AgentState.ABSENT))) for agent in agents]


def _agent(status: AgentStatus) -> Document:
    has_reported = bool(status.last_report_ns)
    return {
        "agent": str(status.agent),
        "state": status.state.value,
        "reason": status.reason or None,
        "last_report_ns": status.last_report_ns if has_reported else None,
        "checks": status.checks,
        "loop_lag_ns": status.loop_lag_ns if has_reported else None,
        "disk_refuses": status.disk_refuses if has_reported else None,
        "clock_offset_ns": status.clock_offset_ns if has_reported else None,
        "windows_spooled": status.windows_spooled if has_reported else None,
        "windows_dropped": status.windows_dropped if has_reported else None,
        "version": status.version or None,
        "capabilities": list(status.capabilities) or None,
    }


def coverage_document(snapshot: Snapshot) -> Document:
    """Which components the checks cross and can tell apart."""
    return view_document("coverage", snapshot, {"coverage": _coverage(snapshot)})


def _gap(gap: ClassGap) -> Document:
    return {
        "kind": gap.kind,
        "traffic": _condition(gap.traffic),
        "reason": gap.reason,
        "parts": gap.parts,
        "other": None if gap.other is None else _condition(gap.other),
        "other_kind": gap.other_kind,
    }


def _condition(one: TrafficCondition) -> Document:
    return {"attribute": one.attribute, "value": one.value}


def _coverage(snapshot: Snapshot) -> Document:
    coverage = snapshot.coverage
    return {
        "checks": coverage.checks or len(snapshot.checks),
        "components": coverage.components,
        "covered": coverage.covered,
        "identifiable": coverage.identifiable,
        "unjoined": [list(pair) for pair in coverage.unjoined],
        "zone_pairs": coverage.zone_pairs,
        "zones_uncrossed": [list(pair) for pair in coverage.zones_uncrossed],
        "left_out": coverage.left_out,
        "uncovered": [str(component) for component in coverage.uncovered],
        "indistinguishable": [[str(component) for component in group] for group in coverage.classes],
        "traffic": [
            {
                "kind": one.kind,
                "parts": one.parts,
                "classes": one.classes,
                "asked": one.asked,
                "named": one.named,
                "located": one.located,
                "told": one.told,
            }
            for one in coverage.traffic
        ],
        "unasked": [one.value for one in find_unasked(snapshot.inventory, snapshot.checks)],
        "traffic_gaps": [_gap(one) for one in coverage.traffic_gaps],
        "splitting": [
            {"source": str(each.source), "target": str(each.target), "bits": each.bits}
            for each in coverage.splitting
        ],
    }


def findings_document(snapshot: Snapshot) -> Document:
    """Open findings, most certain first, and those that have ended."""
    return view_document("findings", snapshot, _findings(snapshot))


def _findings(snapshot: Snapshot) -> Document:
    names = Names.of(snapshot.inventory)
    return {
        "findings": [_finding(finding, names) for finding in snapshot.findings],
        "past_findings": [_finding(finding, names) for finding in snapshot.past_findings],
    }


def diagnosis_document(snapshot: Snapshot) -> Document:
    """Open findings with their blast radius, and past findings as incidents."""
    names = Names.of(snapshot.inventory)
    return view_document(
        "diagnosis",
        snapshot,
        {
            "findings": [
                {**_finding(finding, names), "blast_radius": _radius(find_blast_radius(snapshot, finding))}
                for finding in snapshot.findings
            ],
            "incidents": [_incident(finding, names) for finding in snapshot.past_findings],
        },
    )


def _radius(radius: BlastRadius) -> Document:
    return {
        "paths": radius.paths,
        "node_pairs": [{"source": str(source), "target": str(target)} for source, target in radius.pairs],
        "services": list(radius.services),
    }


def _incident(finding: Finding, names: Names) -> Document:
    return {
        "id": finding.id,
        "cause": finding.cause.value,
        "headline": headline(finding, names),
        "components": [str(component) for component in finding.components],
        "started_ns": finding.first_seen_ns,
        "ended_ns": finding.ended_ns,
        "lasted_ns": lasted_ns(finding),
        "paths_affected": len(finding.affected),
        "checks_affected": list(finding.affected),
    }


def _finding(finding: Finding, names: Names) -> Document:
    return {
        "id": finding.id,
        "cause": finding.cause.value,
        "headline": headline(finding, names),
        "confidence": finding.confidence,
        "components": [str(component) for component in finding.components],
        "summary": finding.summary,
        "evidence_for": [_evidence(each) for each in finding.evidence_for],
        "evidence_against": [_evidence(each) for each in finding.evidence_against],
        "indistinguishable": [str(component) for component in finding.indistinguishable],
        "hidden": [str(component) for component in finding.hidden],
        "paths_affected": len(finding.affected),
        "loss": finding.loss,
        "traffic": [
            {"attribute": one.attribute, "value": one.value, "is_equal": one.is_equal}
            for one in finding.traffic
        ],
        "first_seen_ns": finding.first_seen_ns,
        "last_seen_ns": finding.last_seen_ns,
        "ended_ns": finding.ended_ns,
        "next_step": finding.next_step or None,
    }


def _evidence(evidence: Evidence) -> Document:
    return {"text": evidence.text, "checks": list(evidence.checks)}


def report_document(snapshot: Snapshot) -> Document:
    """Everything that a report contains."""
    counters = snapshot.counters
    return view_document(
        "report",
        snapshot,
        {
            **_findings(snapshot),
            "topology": _topology(build_graph(snapshot)),
            "matrix": _matrix(snapshot, None, Level.NODE),
            "agents": _agents(snapshot),
            "coverage": _coverage(snapshot),
            "counters": {
                "reports_stored": counters.reports_stored,
                "reports_repeated": counters.reports_repeated,
                "windows_stored": counters.windows_stored,
                "messages_malformed": counters.messages_malformed,
                "windows_rejected": counters.windows_rejected,
            },
            "rejected": dict(snapshot.rejected),
        },
    )
