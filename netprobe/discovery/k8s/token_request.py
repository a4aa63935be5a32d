"""ServiceAccount tokens that expire, asked for through the API (TokenRequest, authentication.k8s.io/v1).

Rule: nothing is verified here; a token's times only say when to ask for the next one. It is bound to a Secret
without content: while that one is there the token counts, and deleting it takes back every token at once.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import msgspec

from netprobe.discovery.k8s.client import ClusterApi
from netprobe.errors import RemoteFormatError


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """From when to when a token counts, as it says itself; wall time in seconds."""

    begins_s: float
    ends_s: float


class _Issued(msgspec.Struct, frozen=True):
    token: str = ""


class _TokenRequest(msgspec.Struct, frozen=True):
    status: _Issued = _Issued()


async def request_token(
    api: ClusterApi, account: str, *, namespace: str, lifetime_s: int, bound_to: str
) -> str:
    """A new token of *account*, bound to the Secret *bound_to*; ``ApiError`` where the server gives none.

    The server may choose a shorter life.
    """
    bound = {"apiVersion": "v1", "kind": "Secret", "name": bound_to}
    wanted = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": lifetime_s, "boundObjectRef": bound},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    token = (await api.create(path, wanted, _TokenRequest)).status.token
    if not token:
        raise RemoteFormatError(f"{api.context}: {path}: the server gave no token")
    return token


def read_span(token: str) -> TokenSpan | None:
    """When *token* counts; None where it does not expire, or is none that we can read.

    >>> read_span("nothing") is None
    True
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return TokenSpan(float(claims["iat"]), float(claims["exp"]))
    except (IndexError, ValueError, KeyError, TypeError):
        return None
