"""The decision table: one symptom, one cause."""

from __future__ import annotations

import pytest

from netprobe.analysis.diagnosis.decision_table import TABLE, read_table
from netprobe.analysis.diagnosis.hypothesis import suppose
from netprobe.analysis.diagnosis.symptom import Symptom
from netprobe.model.component import gateway_out, tunnel
from netprobe.model.finding import Cause
from netprobe.model.names import ClusterName, NodeId

MEANINGS = {
    "both ways of a tunnel are silent": (Symptom("tunnel"), Cause.TUNNEL_DOWN),
    "one way of a tunnel is silent": (Symptom("tunnel", ways="one"), Cause.RETURN_PATH_DROPPED),
    "a tunnel loses some": (Symptom("tunnel", answer="lossy"), Cause.TUNNEL_LOSSY),
    "large packets vanish one way": (Symptom("tunnel", column="large", ways="one"), Cause.TUNNEL_MTU),
    "large packets vanish both ways": (Symptom("tunnel", column="large"), Cause.TUNNEL_MTU),
    "the overlay is silent": (Symptom("overlay"), Cause.OVERLAY_BLOCKED),
    "the overlay is silent one way": (Symptom("overlay", ways="one"), Cause.OVERLAY_BLOCKED),
    "one node's route": (Symptom("route", ways="one"), Cause.ROUTE_MISSING),
    "a worker": (Symptom("node"), Cause.NODE_DOWN),
    "a gateway": (Symptom("node", gateway=True), Cause.GATEWAY_DOWN),
    "a silent port": (Symptom("firewall-rule", ways="one"), Cause.POLICY_DROP),
    "a rejected port": (Symptom("firewall-rule", ways="one", answer="rejected"), Cause.POLICY_REJECT),
    "a service refused everywhere": (Symptom("service", answer="refused"), Cause.NO_ENDPOINTS),
    "a service silent everywhere": (Symptom("service"), Cause.NO_ENDPOINTS),
    "a service from one node": (Symptom("service-proxy"), Cause.SERVICE_PROXY_STALE),
    "all names": (Symptom("dns"), Cause.DNS_DOWN),
    "names of one zone": (Symptom("dns-zone"), Cause.DNS_FORWARD_MISSING),
    "foreign sources": (Symptom("gateway-out", note="snat"), Cause.SNAT),
    "somebody else answers": (Symptom("gateway-out", answer="wrong-peer"), Cause.WRONG_PEER),
    "an agent": (Symptom("agent"), Cause.AGENT_SICK),
    "a quiet period": (Symptom("tunnel", note="idle"), Cause.IDLE_TIMEOUT),
    "new flows on one node": (Symptom("node-out", note="new-flows-only"), Cause.CONNTRACK_FULL),
    "a gateway calls it connected": (Symptom("tunnel", note="called-connected"), Cause.STATUS_CONTRADICTED),
    "nothing known": (Symptom("underlay"), Cause.UNKNOWN),
}


@pytest.mark.parametrize(("symptom", "cause"), MEANINGS.values(), ids=MEANINGS.keys())
def test_a_symptom_means(symptom: Symptom, cause: Cause) -> None:
    assert read_table(symptom).cause is cause


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.number} {row.cause}" for row in TABLE])
def test_every_row_is_found_by_what_it_asks_for(row: object) -> None:
    assert isinstance(row, type(TABLE[0]))
    symptom = Symptom(
        part=row.part.split("|")[0],
        column=row.column or "all",
        ways=row.ways or "both",
        answer=row.answer.split("|")[0] or "silent",
        note=row.note,
        gateway=bool(row.gateway),
    )
    assert row.fits(symptom)


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.number} {row.cause}" for row in TABLE])
def test_every_row_has_words_a_step_and_a_confidence(row: object) -> None:
    assert isinstance(row, type(TABLE[0]))
    assert row.text.endswith(".")
    assert row.next_step
    assert 0 < row.confidence <= 1


def test_a_hypothesis_reads_like_a_sentence() -> None:
    one, other = ClusterName("prod"), ClusterName("dev")
    found = suppose(Symptom("tunnel"), [tunnel(one, other), tunnel(other, one)], core=[1])
    assert found.summary == "The link between dev and prod carries nothing either way."


def test_every_text_can_be_said_of_any_part() -> None:
    part = gateway_out(NodeId.parse("prod/gw"))
    for row in TABLE:
        symptom = Symptom(row.part.split("|")[0], note=row.note, answer=row.answer.split("|")[0] or "silent")
        assert "{" not in suppose(symptom, [part], core=[1]).summary
