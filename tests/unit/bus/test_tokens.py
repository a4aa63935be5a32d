"""Tokens as clusters sign them, and everything that is wrong with others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from netprobe.bus.tokens import Bearer, PodRef, RefusalReason, TokenRefusal, TrustedCluster, verify
from netprobe.model.names import AgentId, ClusterName

NOW_S = 1_800_000_000
NOW_NS = NOW_S * 10**9
ISSUER = "https://kubernetes.default.svc.cluster.local"
AGENT = AgentId.parse("prod/w1/pod")
KEYS = {"prod": ec.generate_private_key(ec.SECP256R1()), "dev": ec.generate_private_key(ec.SECP256R1())}
RSA = rsa.generate_private_key(65537, 2048)


def jwk(key: Any, kid: str) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid}


CLUSTERS = tuple(
    TrustedCluster(ClusterName(name), ISSUER, (jwk(key, f"key-of-{name}"),)) for name, key in KEYS.items()
)


def claims(**other: Any) -> dict[str, Any]:
    bound = {
        "namespace": "netprobe",
        "serviceaccount": {"name": "netprobe-agent-pod", "uid": "s"},
        "pod": {"name": "agent-x", "uid": "pod-uid"},
        "node": {"name": "w1", "uid": "n"},
    }
    bound |= other.pop("bound", {})
    standard = {"iss": ISSUER, "aud": ["netprobe"], "exp": NOW_S + 600, "nbf": NOW_S, "iat": NOW_S}
    return standard | other | {"kubernetes.io": bound}


def signed(of: str = "prod", *, kid: str = "", key: Any = None, alg: str = "ES256", **other: Any) -> str:
    return jwt.encode(claims(**other), key or KEYS[of], alg, headers={"kid": kid or f"key-of-{of}"})


def judge(token: str, claimed: AgentId = AGENT, *, now_ns: int = NOW_NS) -> Bearer | TokenRefusal:
    return verify(token, claimed=claimed, clusters=CLUSTERS, now_ns=now_ns)


def tampered() -> str:
    head, body, signature = signed().split(".")
    other = jwt.encode(claims(bound={"node": {"name": "w2", "uid": "n"}}), KEYS["dev"], "ES256").split(".")[1]
    assert other != body
    return f"{head}.{other}.{signature}"


def test_a_good_token_makes_its_bearer_that_agent() -> None:
    pod = PodRef("netprobe", "agent-x", "pod-uid")
    assert judge(signed()) == Bearer(AGENT, pod, expires_ns=NOW_NS + 600 * 10**9)


def test_the_key_says_which_of_two_clusters_of_one_issuer_it_is() -> None:
    assert isinstance(judge(signed("dev"), AgentId.parse("dev/w1/pod")), Bearer)


def test_rsa_keys_are_as_good() -> None:
    cluster = TrustedCluster(ClusterName("prod"), ISSUER, (jwk(RSA, "r"),))
    token = signed(key=RSA, kid="r", alg="RS256")
    assert isinstance(verify(token, claimed=AGENT, clusters=[cluster], now_ns=NOW_NS), Bearer)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", RefusalReason.NO_TOKEN),
        ("abc", RefusalReason.MALFORMED),
        ("a.b.c", RefusalReason.MALFORMED),
        (jwt.encode({"iss": ISSUER}, KEYS["prod"], "ES256"), RefusalReason.MALFORMED),
        (jwt.encode(claims(), "k" * 32, "HS256", headers={"kid": "key-of-prod"}), RefusalReason.MALFORMED),
        (jwt.encode(claims(), "", "none", headers={"kid": "key-of-prod"}), RefusalReason.MALFORMED),
        (signed(iss="https://elsewhere"), RefusalReason.UNKNOWN_ISSUER),
        (signed(kid="rotated"), RefusalReason.UNKNOWN_KEY),
        (signed(key=KEYS["dev"], kid="key-of-prod"), RefusalReason.BAD_SIGNATURE),
        (tampered(), RefusalReason.BAD_SIGNATURE),
        (signed(key=RSA, kid="key-of-prod", alg="RS256"), RefusalReason.BAD_SIGNATURE),
        (signed(exp=NOW_S), RefusalReason.EXPIRED),
        (signed(nbf=NOW_S + 11), RefusalReason.NOT_YET_VALID),
        (signed(aud=["https://kubernetes.default.svc"]), RefusalReason.WRONG_AUDIENCE),
        (signed(aud="vault"), RefusalReason.WRONG_AUDIENCE),
        (signed("dev"), RefusalReason.WRONG_CLUSTER),
        (signed(bound={"namespace": "other"}), RefusalReason.WRONG_ACCOUNT),
        (signed(bound={"serviceaccount": {"name": "netprobe-agent-host"}}), RefusalReason.WRONG_ACCOUNT),
        (signed(bound={"pod": None}), RefusalReason.NOT_BOUND),
        (signed(bound={"node": None}), RefusalReason.NOT_BOUND),
        (signed(bound={"node": {"name": "w2"}}), RefusalReason.WRONG_NODE),
    ],
    ids=lambda value: value.value if isinstance(value, RefusalReason) else "token",  # equal in every process
)  # fmt: skip
def test_everything_else_is_refused_by_its_kind(token: str, reason: RefusalReason) -> None:
    verdict = judge(token)
    assert isinstance(verdict, TokenRefusal)
    assert verdict.reason is reason
    assert "\n" not in verdict.why
    assert not token or token not in verdict.why


def test_a_clock_that_is_a_little_ahead_is_no_refusal() -> None:
    assert isinstance(judge(signed(nbf=NOW_S + 9)), Bearer)


def test_a_key_that_cannot_be_one_refuses_only_its_tokens() -> None:
    broken = replace(CLUSTERS[1], keys=({"kty": "EC", "kid": "key-of-dev", "crv": "P-256", "x": "!"},))
    clusters = (CLUSTERS[0], broken)
    verdicts = [
        verify(signed(name), claimed=AgentId.parse(f"{name}/w1/pod"), clusters=clusters, now_ns=NOW_NS)
        for name in ("prod", "dev")
    ]
    assert [type(verdict) for verdict in verdicts] == [Bearer, TokenRefusal]


def test_a_cluster_that_copies_the_keys_of_another_locks_out_none_of_its_agents() -> None:
    copied = TrustedCluster(ClusterName("aaa"), ISSUER, CLUSTERS[0].keys)
    verdict = verify(signed(), claimed=AGENT, clusters=(copied, *CLUSTERS), now_ns=NOW_NS)
    assert isinstance(verdict, Bearer)


def test_many_keys_of_one_id_are_not_all_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tuple(jwk(KEYS["dev"], "k") for _ in range(100))
    many = TrustedCluster(ClusterName("zzz"), ISSUER, keys)
    tried: list[object] = []
    made = jwt.PyJWK

    def count(key: dict[str, Any]) -> jwt.PyJWK:
        tried.append(key)
        return made(key)

    monkeypatch.setattr(jwt, "PyJWK", count)
    verdict = verify(signed(kid="k"), claimed=AGENT, clusters=(many,), now_ns=NOW_NS)
    assert isinstance(verdict, TokenRefusal)
    assert (verdict.reason, len(tried)) == (RefusalReason.BAD_SIGNATURE, 4)


@pytest.mark.parametrize("value", [1e308, float("inf"), float("nan"), -1.0, 1e12])
@pytest.mark.parametrize("claim", ["exp", "nbf"])
def test_a_time_that_is_none_is_refused(claim: str, value: float) -> None:
    other: dict[str, Any] = {claim: value}
    verdict = judge(signed(**other))
    assert isinstance(verdict, TokenRefusal)
    assert verdict.reason is RefusalReason.MALFORMED


@given(
    st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}")
)
def test_nothing_that_is_shown_is_more_than_refused(text: str) -> None:
    assert isinstance(judge(text), TokenRefusal)
