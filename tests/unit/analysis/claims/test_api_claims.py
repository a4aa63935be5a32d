"""Claims about clusters, held against what an API server answered."""

from __future__ import annotations

import itertools

import pytest

from netprobe.analysis.claims.api_claims import API_CLAIMS, Agreement, hold_against
from netprobe.model.declared_cluster import ApiClaim, ApiClaimKind, ApiOutcome
from netprobe.model.fabric import ClaimState, ObjectReference

FAILED = {
    ApiOutcome.UNHEALTHY, ApiOutcome.FOREIGN, ApiOutcome.UNTRUSTED, ApiOutcome.CLOSED, ApiOutcome.SILENT,
}  # fmt: skip


def claim(state: ClaimState) -> ApiClaim:
    return ApiClaim(ApiClaimKind.KARMADA_READY, ObjectReference("g", "r", "", "x"), "f", "v", state)


def test_every_kind_of_claim_has_a_row() -> None:
    assert set(API_CLAIMS) == set(ApiClaimKind)


@pytest.mark.parametrize(("state", "outcome"), list(itertools.product(ClaimState, ApiOutcome)))
def test_only_what_was_asked_speaks_and_only_about_what_is_claimed(
    state: ClaimState, outcome: ApiOutcome
) -> None:
    found = hold_against(claim(state), outcome)
    says_nothing = outcome in {ApiOutcome.NOT_ASKED, ApiOutcome.NO_NAME} or state is ClaimState.UNKNOWN
    agrees = (state in {ClaimState.UP, ClaimState.UNVERIFIED}) == (outcome is ApiOutcome.ANSWERS)
    expected = Agreement.CONFIRMED if agrees else Agreement.CONTRADICTED
    assert found is (Agreement.OPEN if says_nothing else expected)
    assert says_nothing or outcome in {ApiOutcome.ANSWERS, *FAILED}
