"""What systems claim about clusters, as data, and what an answer of the API server means beside it.

Rules. A claim is held against what this machine saw, which may be at another place than the claimant: a name
that has no address here, or a server that was not asked, says nothing. A claim that its own object shows to
be unmeasured counts as a word that all is well, because people read it as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.declared_cluster import ApiClaim, ApiClaimKind, ApiOutcome
from netprobe.model.fabric import ClaimState


@dataclass(frozen=True, slots=True)
class ApiClaimRow:
    """One kind of claim about a cluster."""

    claimant: str
    """Who says it."""
    word: str
    """What the object calls it when all is well."""
    proves: str
    """What it means when it is true."""


API_CLAIMS: Mapping[ApiClaimKind, ApiClaimRow] = {
    ApiClaimKind.ARGOCD_APPLICATION: ApiClaimRow(
        "Argo CD", "Healthy", "the workloads were well when compared"
    ),
    ApiClaimKind.FLUX_KUSTOMIZATION: ApiClaimRow("Flux", "Ready", "the last reconciliation went well"),
    ApiClaimKind.FLUX_HELM_RELEASE: ApiClaimRow("Flux", "Ready", "the last release went well"),
    ApiClaimKind.CLUSTERPROFILE_HEALTHY: ApiClaimRow(
        "the cluster manager", "ControlPlaneHealthy", "the manager found the control plane well"
    ),
    ApiClaimKind.KUBEFED_READY: ApiClaimRow("KubeFed", "Ready", "the host cluster reached its API"),
    ApiClaimKind.KARMADA_READY: ApiClaimRow(
        "Karmada", "Ready", "the control plane or its agent reached its API"
    ),
    ApiClaimKind.OCM_AVAILABLE: ApiClaimRow(
        "Open Cluster Management", "Available", "the hub heard the agent of the cluster"
    ),
}
"""One row for each `ApiClaimKind`."""


class Agreement(StrEnum):
    """What an answer says about a claim."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    OPEN = "open"
    """The answer says nothing about it."""


_WELL: Mapping[ApiOutcome, bool] = {
    ApiOutcome.ANSWERS: True,
    ApiOutcome.UNHEALTHY: False,
    ApiOutcome.FOREIGN: False,
    ApiOutcome.UNTRUSTED: False,
    ApiOutcome.CLOSED: False,
    ApiOutcome.SILENT: False,
}
"""Outcomes that say something about the API server; all others leave a claim open."""


def hold_against(claim: ApiClaim, outcome: ApiOutcome) -> Agreement:
    """What *outcome* says about *claim*, in either direction."""
    if claim.state is ClaimState.UNKNOWN or outcome not in _WELL:
        return Agreement.OPEN
    return Agreement.CONFIRMED if claim.state.is_well is _WELL[outcome] else Agreement.CONTRADICTED
