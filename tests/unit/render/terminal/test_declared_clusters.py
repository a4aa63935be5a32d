"""Declared clusters beside what they answered: at 80 columns, and for machines."""

from __future__ import annotations

import msgspec
from syrupy.assertion import SnapshotAssertion

from netprobe.discovery.k8s.declared_clusters import SourceReading
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.model.declared_cluster import (
    ApiAddress,
    ApiClaim,
    ApiClaimKind,
    ApiOutcome,
    ApiReading,
    DeclaredCluster,
    DeclaredClusters,
)
from netprobe.model.fabric import ClaimState, ObjectReference, UnreadField
from netprobe.render.terminal.declared_clusters import declared_document, declared_table
from netprobe.render.terminal.tables import render_text

NOW_NS = 1_795_950_000_000_000_000
MINUTE_NS = 60_000_000_000


def address(name: str) -> ApiAddress:
    return ApiAddress(f"https://{name}.example.com:6443", (name.encode(),))


def cluster(
    name: str, kind: ApiClaimKind, state: ClaimState, at: ApiAddress, times: int = 1
) -> DeclaredCluster:
    reference = ObjectReference("g", "clusters", "mgmt", name)
    claim = ApiClaim(kind, reference, "status.conditions[0].status", "True", state,
                     since_ns=NOW_NS - 90 * MINUTE_NS, heard_ns=NOW_NS - 3 * MINUTE_NS)  # fmt: skip
    return DeclaredCluster("Karmada", name, at, reference, (claim,) * times)


FINE, DEAD, GONE, FORBIDDEN, ODD = (
    address("prod-us-west-1"), address("staging-eu-central-1"), address("dev"), address("qa"),
    ApiAddress(problem="no API server is declared", refused=("the exec plug-in 'aws'",)),
)  # fmt: skip
READINGS = (
    SourceReading(
        Context("mgmt", None),
        DeclaredClusters(
            "Karmada",
            (
                cluster("prod-us-west-1", ApiClaimKind.KARMADA_READY, ClaimState.UP, FINE),
                cluster("staging-eu-central-1", ApiClaimKind.KARMADA_READY, ClaimState.UP, DEAD),
                cluster("dev", ApiClaimKind.OCM_AVAILABLE, ClaimState.UNKNOWN, GONE),
                cluster("qa", ApiClaimKind.FLUX_KUSTOMIZATION, ClaimState.DOWN, FORBIDDEN, times=12),
                DeclaredCluster("Karmada", "odd", ODD, ObjectReference("", "secrets", "n", "odd")),
            ),
            (UnreadField("secrets karmada-cluster/odd", "", "does not exist"),),
        ),
    ),
    SourceReading(Context("other", None), DeclaredClusters("Karmada"), "context 'other': cannot be reached"),
)
ANSWERS = {
    FINE: ApiReading(ApiOutcome.ANSWERS, 401, 401),
    DEAD: ApiReading(ApiOutcome.SILENT, detail="no answer in time"),
    GONE: ApiReading(ApiOutcome.ANSWERS, 200, 200),
    FORBIDDEN: ApiReading(ApiOutcome.ANSWERS, 403, 403),
    ODD: ApiReading(ApiOutcome.NOT_ASKED, detail="no API server is declared"),
}


def test_claims_alone(snapshot: SnapshotAssertion) -> None:
    shown = render_text(declared_table(READINGS, None, now_ns=NOW_NS), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert shown == snapshot


def test_claims_beside_answers(snapshot: SnapshotAssertion) -> None:
    shown = render_text(declared_table(READINGS, ANSWERS, now_ns=NOW_NS), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert shown == snapshot


def test_machines_get_a_row_for_each_claim_with_both_sides() -> None:
    document = msgspec.json.decode(msgspec.json.encode(declared_document(READINGS, ANSWERS)))
    assert document["schema"] == "netprobe/declared-clusters"
    rows = [
        (one["name"], claim["says"], one["answer"]["outcome"], claim["agreement"])
        for one in document["clusters"]
        for claim in one["claims"][:1]
    ]
    assert rows == [
        ("prod-us-west-1", "up", "answers", "confirmed"),
        ("staging-eu-central-1", "up", "silent", "contradicted"),
        ("dev", "unknown", "answers", "open"),
        ("qa", "down", "answers", "contradicted"),
    ]
    assert len(document["clusters"][3]["claims"]) == 12
    assert [each["problem"] for each in document["unread"]] == [
        "secrets karmada-cluster/odd: does not exist", "context 'other': cannot be reached",
    ]  # fmt: skip


def test_nothing_is_said_about_answers_that_were_not_asked_for() -> None:
    document = declared_document(READINGS, None)
    assert {str(one["answer"]) for one in document["clusters"]} == {"None"}  # type: ignore[attr-defined]
