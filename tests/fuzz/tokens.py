"""Whatever shows a token, and whatever asks about one: the login of a stranger, before anything is known."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

from netprobe.bus.callout import read_request
from netprobe.bus.tokens import TokenRefusal, TrustedCluster, verify
from netprobe.errors import RemoteFormatError
from netprobe.model.names import AgentId, ClusterName

_AGENT = AgentId.parse("prod/w1/pod")
_KEY = {
    "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}  # fmt: skip
_CLUSTERS = (TrustedCluster(ClusterName("prod"), "https://issuer", (_KEY,)),)


def feed(data: bytes) -> None:
    """Verify *data* as a token, and read it as the server's question."""
    text = data.decode("latin-1")
    verdict = verify(text, claimed=_AGENT, clusters=_CLUSTERS, now_ns=1)
    assert isinstance(verdict, TokenRefusal)  # the key that would sign it does not exist
    with suppress(RemoteFormatError):
        read_request(data)


def _joined(*parts: object) -> bytes:
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return b".".join((*encoded, b"c2ln"))


_CLAIMS = {
    "iss": "https://issuer", "aud": ["netprobe"], "exp": 2, "nbf": 0,
    "kubernetes.io": {
        "namespace": "netprobe", "serviceaccount": {"name": "netprobe-agent-pod", "uid": "1"},
        "pod": {"name": "p", "uid": "2"}, "node": {"name": "w1", "uid": "3"},
    },
}  # fmt: skip
_ASKED = {
    "user_nkey": "U", "server_id": {"id": "N"}, "client_info": {"host": "192.0.2.1"},
    "connect_opts": {"name": "prod/w1/pod", "auth_token": "a.b.c"},
}  # fmt: skip
SEEDS = (
    _joined({"alg": "ES256", "kid": "k", "typ": "JWT"}, _CLAIMS),
    _joined({"alg": "ES256", "kid": "x"}, {**_CLAIMS, "aud": "netprobe"}),
    _joined({"alg": "none"}, {"iss": 1}),
    _joined({"typ": "JWT", "alg": "ed25519-nkey"}, {"nats": _ASKED}),
    b"..",
)
