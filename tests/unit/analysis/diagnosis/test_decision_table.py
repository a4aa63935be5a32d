"""The decision table: one symptom, one cause."""

from __future__ import annotations

import re

import pytest

from netprobe.analysis.diagnosis.decision_table import TABLE, read_table
from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.symptom import (
    Answer,
    Directions,
    Note,
    Symptom,
    TablePart,
    TableRow,
    TrafficClass,
)
from netprobe.model.component import ComponentKind as Kind
from netprobe.model.component import gateway_out, tunnel
from netprobe.model.finding import Cause
from netprobe.model.names import ClusterName, NodeId

MEANINGS = {
    "both ways of a tunnel are silent": (Symptom(Kind.TUNNEL), Cause.TUNNEL_DOWN),
    "one way of a tunnel is silent": (
        Symptom(Kind.TUNNEL, directions=Directions.ONE),
        Cause.RETURN_PATH_DROPPED,
    ),
    "a tunnel loses some": (Symptom(Kind.TUNNEL, answer=Answer.LOSSY), Cause.TUNNEL_LOSSY),
    "large packets vanish one way": (
        Symptom(Kind.TUNNEL, traffic=TrafficClass.LARGE, directions=Directions.ONE),
        Cause.TUNNEL_MTU,
    ),
    "large packets vanish both ways": (Symptom(Kind.TUNNEL, traffic=TrafficClass.LARGE), Cause.TUNNEL_MTU),
    "the overlay is silent": (Symptom(Kind.OVERLAY), Cause.OVERLAY_BLOCKED),
    "the overlay is silent one way": (
        Symptom(Kind.OVERLAY, directions=Directions.ONE),
        Cause.OVERLAY_BLOCKED,
    ),
    "one node's route": (Symptom(TablePart.ROUTE, directions=Directions.ONE), Cause.ROUTE_MISSING),
    "a worker": (Symptom(TablePart.NODE), Cause.NODE_DOWN),
    "a gateway": (Symptom(TablePart.NODE, is_gateway=True), Cause.GATEWAY_DOWN),
    "a silent port": (Symptom(Kind.FIREWALL_RULE, directions=Directions.ONE), Cause.POLICY_DROP),
    "a rejected port": (
        Symptom(Kind.FIREWALL_RULE, directions=Directions.ONE, answer=Answer.REJECTED),
        Cause.POLICY_REJECT,
    ),
    "a service refused everywhere": (Symptom(Kind.SERVICE, answer=Answer.REFUSED), Cause.NO_ENDPOINTS),
    "a service silent everywhere": (Symptom(Kind.SERVICE), Cause.NO_ENDPOINTS),
    "a service from one node": (Symptom(Kind.SERVICE_PROXY), Cause.SERVICE_PROXY_STALE),
    "all names": (Symptom(Kind.DNS), Cause.DNS_DOWN),
    "names of one zone": (Symptom(TablePart.DNS_ZONE), Cause.DNS_FORWARD_MISSING),
    "foreign sources": (Symptom(Kind.GATEWAY_OUT, note=Note.SNAT), Cause.SNAT),
    "another host answers": (Symptom(Kind.GATEWAY_OUT, answer=Answer.WRONG_PEER), Cause.WRONG_PEER),
    "an agent": (Symptom(Kind.AGENT), Cause.AGENT_SICK),
    "a quiet period": (Symptom(Kind.TUNNEL, note=Note.IDLE), Cause.IDLE_TIMEOUT),
    "new flows on one node": (Symptom(Kind.NODE_OUT, note=Note.NEW_FLOWS_ONLY), Cause.CONNTRACK_FULL),
    "a gateway calls it connected": (
        Symptom(Kind.TUNNEL, note=Note.CALLED_CONNECTED),
        Cause.STATUS_CONTRADICTED,
    ),
    "nothing known": (Symptom(Kind.NODE_IN, directions=Directions.ONE), Cause.UNKNOWN),
    "a gateway without its uplink": (
        Symptom(Kind.GATEWAY_OUT, note=Note.OUTER_SILENT, directions=Directions.BOTH),
        Cause.GATEWAY_DOWN,
    ),
    "outer addresses alone are silent": (Symptom(Kind.UNDERLAY), Cause.UNKNOWN),
}


PUBLISHED = [
    "agent-clock-off",
    "agent-container-down",
    "agent-reports-lost",
    "agent-sick",
    "agent-silent-on-bus",
    "asymmetric-route",
    "bus-refuses-agent",
    "class-answers",
    "class-destination",
    "class-family",
    "class-forwarded",
    "class-lossy",
    "class-new-flows",
    "class-plane",
    "class-protocol",
    "class-requests",
    "class-source",
    "class-unrecorded",
    "cluster-mtu",
    "collector-clock-off",
    "conntrack-full",
    "dns-down",
    "dns-forward-missing",
    "dns-lossy",
    "duplicated",
    "fabric-claims-down",
    "fabric-claims-up",
    "flows-hashed",
    "gateway-node-down",
    "gateway-not-forwarding",
    "gateway-status-wrong",
    "gateway-uplink-down",
    "idle-timeout",
    "no-reports-anywhere",
    "no-reports-node-not-ready",
    "no-reports-one-cluster",
    "no-reports-one-node",
    "no-reports-one-plane",
    "node-down",
    "node-not-forwarding",
    "node-unreachable",
    "outer-silent",
    "overlay-checksum-offload",
    "overlay-down",
    "overlay-one-way",
    "part-lossy",
    "path-rejected",
    "pod-path-broken",
    "port-dropped",
    "port-lossy",
    "port-rejected",
    "route-missing",
    "routing-loop",
    "service-lossy",
    "service-proxy-lossy",
    "service-proxy-stale",
    "service-refused",
    "service-silent",
    "service-stale-conntrack",
    "snat-port-collision",
    "source-nat",
    "tunnel-down",
    "tunnel-inbound-first",
    "tunnel-lossy",
    "tunnel-mtu",
    "tunnel-mtu-one-way",
    "tunnel-one-way",
    "tunnel-outer-down",
    "tunnel-outer-one-way",
    "tunnel-slow",
    "unexplained",
    "unknown",
    "wrong-peer",
]
"""Documents and tools refer to them: add, never rename."""


@pytest.mark.parametrize(("symptom", "cause"), MEANINGS.values(), ids=MEANINGS.keys())
def test_a_symptom_means(symptom: Symptom, cause: Cause) -> None:
    assert read_table(symptom).cause is cause


@pytest.mark.parametrize("row", TABLE, ids=[row.id for row in TABLE])
def test_every_row_is_found_by_what_it_asks_for(row: TableRow) -> None:
    symptom = Symptom(
        part=min(row.parts, default=Kind.INTENT),
        traffic=min(row.traffic, default=TrafficClass.MAIN),
        directions=min(row.directions, default=Directions.BOTH),
        answer=min(row.answers, default=Answer.SILENT),
        note=row.note,
        is_gateway=bool(row.is_gateway),
        selection=min(row.selections, default=None),
    )
    assert row.fits(symptom)


@pytest.mark.parametrize("row", TABLE, ids=[row.id for row in TABLE])
def test_every_row_has_words_a_step_and_a_confidence(row: TableRow) -> None:
    assert row.text.endswith(".")
    assert row.next_step
    assert 0 < row.confidence <= 1


def test_a_hypothesis_reads_like_a_sentence() -> None:
    one, other = ClusterName("prod"), ClusterName("dev")
    found = build_hypothesis(Symptom(Kind.TUNNEL), [tunnel(one, other), tunnel(other, one)], core=[1])
    assert str(found.summary) == "The link between dev and prod passes no packets in either direction."


@pytest.mark.parametrize("row", TABLE, ids=[row.id for row in TABLE])
def test_every_text_fits_any_part(row: TableRow) -> None:
    symptom = Symptom(
        min(row.parts, default=Kind.INTENT), note=row.note, answer=min(row.answers, default=Answer.SILENT)
    )
    assert "{" not in str(build_hypothesis(symptom, [gateway_out(NodeId.parse("prod/gw"))], core=[1]).summary)


def test_identifiers_of_rows_are_unique_words_joined_by_hyphens() -> None:
    ids = [row.id for row in TABLE]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", each) for each in ids)


def test_identifiers_of_rows_never_change() -> None:
    assert sorted(row.id for row in TABLE) == PUBLISHED


def test_a_row_without_restrictions_but_a_note_fits_no_symptom_without_it() -> None:
    assert read_table(Symptom(Kind.NODE_IN, directions=Directions.ONE)).id == "unknown"
    assert read_table(Symptom(Kind.NODE_IN, note=Note.IDLE)).id == "idle-timeout"
