"""Clusters as a management system declares them: where the API server of each is, and what it calls them.

Rules: all of this is claimed. No secret is ever held here: a server's URL has no user name, password or query
in it, and certificates are public. What an entry would have run or opened is named, and never followed. Times
are wall-clock nanoseconds on the claimant's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from netprobe.model.fabric import ClaimState, ObjectReference, UnreadField


class ApiClaimKind(StrEnum):
    """Which statement about a cluster it is; `analysis.claims.api_claims` has a row for each."""

    ARGOCD_APPLICATION = "argocd-application"
    FLUX_KUSTOMIZATION = "flux-kustomization"
    FLUX_HELM_RELEASE = "flux-helm-release"
    CLUSTERPROFILE_HEALTHY = "clusterprofile-healthy"
    KUBEFED_READY = "kubefed-ready"
    KARMADA_READY = "karmada-ready"
    OCM_AVAILABLE = "ocm-available"


@dataclass(frozen=True, slots=True)
class ApiClaim:
    """One field of one object that says how a cluster, or what is delivered to it, is."""

    kind: ApiClaimKind
    object: ObjectReference
    field: str
    value: str
    """As sent, cleaned."""
    state: ClaimState
    message: str = ""
    since_ns: int | None = None
    """Since when it says so; None where it does not say."""
    heard_ns: int | None = None
    """When the claimant last heard from the cluster, by its own word; None where it does not say."""


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where an API server is declared to be, and how it proves that it is the one."""

    server: str = ""
    """A URL; empty where none is declared, or it cannot be used: *problem* says why."""
    authorities: tuple[bytes, ...] = field(default=(), repr=False)
    """Certificates that may have signed the server's, as DER; empty for those that this machine trusts."""
    tls_name: str = ""
    """The name that the certificate has to prove, where that is not the URL's."""
    is_unverified: bool = False
    """Whether the entry asks its user to take any certificate."""
    is_proxied: bool = False
    """Whether the entry leads through a proxy."""
    problem: str = ""
    """Why the server cannot be asked from here; empty where it can."""
    refused: tuple[str, ...] = ()
    """What the entry would have run or opened, and what was wrong in it; nothing of that was followed."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """SHA-256 of each authority's certificate."""
        return tuple(sha256(each).hexdigest() for each in self.authorities)


@dataclass(frozen=True, slots=True)
class DeclaredCluster:
    """One cluster that a system knows."""

    source: str
    """The system's name."""
    name: str
    address: ApiAddress
    object: ObjectReference
    """What declares it."""
    claims: tuple[ApiClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredClusters:
    """Every cluster that one system knows, by name."""

    source: str
    clusters: tuple[DeclaredCluster, ...] = ()
    unread: tuple[UnreadField, ...] = ()


class ApiOutcome(StrEnum):
    """What came of asking a declared API server."""

    ANSWERS = "answers"
    """``/livez`` gave 200, 401 or 403: it is there, and a stranger has no rights."""
    UNHEALTHY = "unhealthy"
    """It answers, and says itself that it is not well."""
    FOREIGN = "foreign"
    """Something answers that is not an API server."""
    UNTRUSTED = "untrusted"
    """Its certificate is not signed by the declared authority, has expired, or proves another name."""
    CLOSED = "closed"
    """The port is closed."""
    SILENT = "silent"
    """No answer in time."""
    NO_NAME = "no-name"
    """Its name has no address here."""
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True)
class ApiReading:
    """What a declared API server answered to this machine."""

    outcome: ApiOutcome
    live: int | None = None
    """HTTP status of ``/livez``; None without an answer."""
    ready: int | None = None
    """HTTP status of ``/readyz``."""
    detail: str = ""
    """Why, for people."""
