"""ServiceAccount tokens: what a cluster signed, and which agent that makes of its bearer.

Rules. Pure: keys and time are arguments. Which cluster a token is of, the key that verifies it says, because
clusters often share an issuer's name (``https://kubernetes.default.svc.cluster.local``); the issuer has to be
that cluster's too. The cluster that the bearer names comes first, so that no other one, with keys copied from
it, can make its tokens its own. What a token claims is believed only after its signature. A refusal is a
value that names its kind, so that it can be counted; nothing of a token is ever shown but names and
identifiers.

Sources: RFC 7519 (claims), RFC 7517 (keys), KEP-1205 (bound tokens), KEP-4193 (node claims).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import jwt
import msgspec

from netprobe.errors import InputError
from netprobe.model.names import AgentId, ClusterName, Plane
from netprobe.model.units import SECOND_NS

AUDIENCE = "netprobe"
NAMESPACE = "netprobe"
ACCOUNTS = {Plane.POD: "netprobe-agent-pod", Plane.HOST: "netprobe-agent-host"}
"""One ServiceAccount per plane, so that a token says on which plane its pod stands."""
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
LEEWAY_NS = 10_000_000_000
"""How far a cluster's clock may be ahead of ours."""


class RefusalReason(StrEnum):
    """Why a token is refused."""

    NO_TOKEN = "no-token"  # noqa: S105 - no secret
    TOO_MANY = "too-many"
    MALFORMED = "malformed"
    UNKNOWN_ISSUER = "unknown-issuer"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_AUDIENCE = "wrong-audience"
    WRONG_CLUSTER = "wrong-cluster"
    WRONG_ACCOUNT = "wrong-account"
    NOT_BOUND = "not-bound"
    WRONG_NODE = "wrong-node"
    POD_GONE = "pod-gone"


MAX_KEYS = 32
"""Public keys of one cluster; a rotation needs two."""
_MAX_OF_ONE_ID = 4
_LAST_S = 100_000_000_000
"""The latest time that a claim may name, in the year 5138."""


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """A token is not enough: the kind, and one line for the log."""

    reason: RefusalReason
    why: str
    is_own: bool = False
    """Whether the cluster that the bearer names has signed the token; else the name is only a claim."""


@dataclass(frozen=True, slots=True)
class TrustedCluster:
    """A cluster whose ServiceAccounts may speak for its agents."""

    name: ClusterName
    issuer: str
    keys: tuple[dict[str, Any], ...]
    """Its public keys as its API publishes them (``/openid/v1/jwks``)."""
    namespace: str = NAMESPACE


@dataclass(frozen=True, slots=True)
class PodRef:
    """The pod that a token is bound to."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds a token that is good."""

    agent: AgentId
    pod: PodRef
    expires_ns: int
    """Wall time."""


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    uid: str = ""


class _Bound(msgspec.Struct, frozen=True):
    namespace: str = ""
    serviceaccount: _Named = _Named()
    pod: _Named | None = None
    node: _Named | None = None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    exp: float
    aud: tuple[str, ...] | str = ()
    nbf: float = 0
    bound: _Bound = msgspec.field(default=_Bound(), name="kubernetes.io")


def expect_key(key: dict[str, Any], *, where: str) -> None:
    """Raise :class:`InputError` if it is not a public key that signs tokens."""
    if "d" in key or "k" in key:
        raise InputError("is a secret key: only public ones belong here", where=where)
    try:
        made = jwt.PyJWK(key)
    except jwt.PyJWTError as error:
        raise InputError(f"is not a public key (RFC 7517): {error}", where=where) from error
    if made.algorithm_name not in ALGORITHMS:
        raise InputError(f"is a key for {made.algorithm_name}, which signs no tokens", where=where)


def key_material(key: dict[str, Any]) -> tuple[str, ...]:
    """What makes a public key that key, whatever its id."""
    return tuple(str(key.get(part, "")).rstrip("=") for part in ("kty", "crv", "n", "e", "x", "y"))


def verify(
    token: str, *, claimed: AgentId, clusters: Iterable[TrustedCluster], now_ns: int
) -> Bearer | TokenRefusal:
    """Whether the bearer of *token* is the agent that it claims to be, at *now_ns* (wall time).

    Whether the pod still exists is not in a token; the caller knows.
    """
    if not token:
        return TokenRefusal(RefusalReason.NO_TOKEN, "it shows no token")
    try:
        header = jwt.get_unverified_header(token)
        issuer = msgspec.convert(jwt.decode(token, options={"verify_signature": False}), _Claims).iss
    except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError):
        return TokenRefusal(RefusalReason.MALFORMED, "it is not a ServiceAccount token")
    if header.get("alg") not in ALGORITHMS:
        return TokenRefusal(
            RefusalReason.MALFORMED, f"its token is signed with {str(header.get('alg'))[:20]!r}"
        )
    of_issuer = [cluster for cluster in clusters if cluster.issuer == issuer]
    of_issuer.sort(key=lambda cluster: cluster.name != claimed.cluster)
    if not of_issuer:
        return TokenRefusal(
            RefusalReason.UNKNOWN_ISSUER, f"no registered cluster has the issuer {issuer[:200]!r}"
        )
    signer = _find_signer(token, header, of_issuer)
    if isinstance(signer, TokenRefusal):
        return signer
    cluster, payload = signer
    verdict = _judge(msgspec.convert(payload, _Claims), cluster, claimed, now_ns)
    is_own = cluster.name == claimed.cluster
    return replace(verdict, is_own=is_own) if isinstance(verdict, TokenRefusal) else verdict


def _find_signer(
    token: str, header: dict[str, Any], clusters: list[TrustedCluster]
) -> tuple[TrustedCluster, dict[str, Any]] | TokenRefusal:
    """The cluster whose key verifies *token*, with the claims."""
    kid = header.get("kid")
    tried = 0
    for cluster in clusters:
        of_id = [key for key in cluster.keys[:MAX_KEYS] if key.get("kid") == kid]
        for key in of_id[:_MAX_OF_ONE_ID]:
            tried += 1
            try:
                payload = jwt.decode(
                    token, jwt.PyJWK(key), algorithms=list(ALGORITHMS),
                    options={
                        "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
                        "verify_sub": False, "verify_jti": False,
                    },
                )  # fmt: skip
            except jwt.PyJWTError:
                continue
            return cluster, payload
    names = ", ".join(sorted(cluster.name for cluster in clusters))
    if tried:
        return TokenRefusal(RefusalReason.BAD_SIGNATURE, f"its token's signature is not one of {names}")
    return TokenRefusal(
        RefusalReason.UNKNOWN_KEY, f"{names}: no key {str(kid)[:60]!r} is registered (rotated?)"
    )


def _judge(claims: _Claims, cluster: TrustedCluster, claimed: AgentId, now_ns: int) -> Bearer | TokenRefusal:
    if not (0 <= claims.exp <= _LAST_S and 0 <= claims.nbf <= _LAST_S):  # false for nan, too
        return TokenRefusal(RefusalReason.MALFORMED, f"its token of {cluster.name} names no time")
    expires_ns = round(claims.exp * SECOND_NS)
    if now_ns >= expires_ns:
        late_s = (now_ns - expires_ns) // SECOND_NS
        return TokenRefusal(RefusalReason.EXPIRED, f"its token of {cluster.name} expired {late_s} s ago")
    if now_ns + LEEWAY_NS < claims.nbf * SECOND_NS:
        return TokenRefusal(
            RefusalReason.NOT_YET_VALID, f"its token of {cluster.name} is from the future: check clocks"
        )
    audiences = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if AUDIENCE not in audiences:
        told = ", ".join(audiences)[:200]
        return TokenRefusal(
            RefusalReason.WRONG_AUDIENCE, f"its token of {cluster.name} is for {told!r}, not {AUDIENCE!r}"
        )
    if claimed.cluster != cluster.name:
        return TokenRefusal(RefusalReason.WRONG_CLUSTER, f"its token is of {cluster.name}")
    return _judge_bound(claims.bound, cluster, claimed, expires_ns)


def _judge_bound(
    bound: _Bound, cluster: TrustedCluster, claimed: AgentId, expires_ns: int
) -> Bearer | TokenRefusal:
    account = f"{bound.namespace}/{bound.serviceaccount.name}"
    wanted = f"{cluster.namespace}/{ACCOUNTS[claimed.plane]}"
    if account != wanted:
        return TokenRefusal(
            RefusalReason.WRONG_ACCOUNT, f"its token is of the account {account}, not {wanted}"
        )
    if bound.pod is None or not bound.pod.uid:
        return TokenRefusal(RefusalReason.NOT_BOUND, "its token is bound to no pod")
    if bound.node is None or not bound.node.name:
        return TokenRefusal(
            RefusalReason.NOT_BOUND, "its token names no node (Kubernetes 1.30 and later does)"
        )
    if bound.node.name != claimed.node:
        return TokenRefusal(RefusalReason.WRONG_NODE, f"its token is of a pod on {bound.node.name}")
    return Bearer(claimed, PodRef(bound.namespace, bound.pod.name, bound.pod.uid), expires_ns)
