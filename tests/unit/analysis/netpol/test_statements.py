"""What policies say, as an intent: reading it back gives the same verdict for every cell."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings

from netprobe.analysis.intent.document import read_intent
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.analysis.netpol.statements import find_statements, intent_document
from netprobe.model.inventory import Cluster, Inventory, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.wire.documents import write_document
from tests.unit.analysis.netpol.worlds import derive_raw, pod, policy, worlds


def inventory(pods: list[dict[str, Any]], version: int) -> Inventory:
    """Each pod is an agent's pod, on a node of its own."""
    nodes = []
    for each in pods:
        fitting = tuple(
            entry["ip"] for entry in each["status"]["podIPs"] if (":" in entry["ip"]) is (version == 6)
        )
        nodes.append(Node(NodeName(each["metadata"]["name"]), NodeRole.WORKER, pod_addresses=fitting))
    return Inventory((Cluster(ClusterName("c"), tuple(nodes)),))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(here=worlds())
def test_the_intent_read_back_says_the_same_of_every_cell(here: dict[str, Any]) -> None:
    cells = derive_raw(here)
    for version in (4, 6):
        document = intent_document(find_statements(cells, version=version), version=version)
        text = write_document(msgspec.to_builtins(document))
        intent = read_intent(text, source="written.yaml", today=dt.date(2026, 11, 25))
        found = {
            (cell.source.node, cell.address, cell.door.protocol.value, cell.door.port): cell.expected
            for cell in expand_cells(intent, inventory(here["pods"], version))
        }
        assert found == {
            (
                cell.source.name,
                str(cell.target.address(version)),
                cell.transport.value,
                cell.port,
            ): cell.expected
            for cell in cells
            if cell.version == version and cell.source != cell.target
        }


def test_neighbouring_ports_and_sources_with_one_verdict_stand_together() -> None:
    ports = tuple({"containerPort": number} for number in (80, 81, 90))
    pods = [pod(f"a/{name}", ips=(f"10.0.0.{last}",)) for last, name in enumerate(("one", "two"), 1)]
    pods.append(pod("a/db", ips=("10.0.0.3",), ports=ports))
    (said,) = find_statements(
        derive_raw({"namespaces": [], "pods": pods, "policies": [policy("a/deny", {})]}), version=4
    )
    assert said.ports == ("tcp/80-81", "tcp/90")
    assert [each.name for each in said.sources] == ["one", "two"]
    assert said.reason == "ingress by a/deny"
