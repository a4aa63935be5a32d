"""Who signs a cluster's ServiceAccount tokens: its issuer and public keys, as its API server publishes them.

Source: Kubernetes, "Service account issuer discovery" (OpenID Connect Discovery 1.0). ``jwks_uri`` is not
followed: it may lead anywhere, and the API server itself serves the same keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from netprobe.discovery.k8s.client import ClusterApi
from netprobe.errors import RemoteFormatError

_CONFIGURATION = "/.well-known/openid-configuration"
_KEYS = "/openid/v1/jwks"
_PUBLIC = frozenset({"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer's name and public keys (RFC 7517)."""

    name: str
    keys: tuple[dict[str, Any], ...]


class _Configuration(msgspec.Struct, frozen=True):
    issuer: str


class _KeySet(msgspec.Struct, frozen=True):
    keys: tuple[dict[str, Any], ...]


async def read_issuer(api: ClusterApi) -> Issuer:
    """Ask the cluster behind *api*; ``ApiError`` where it does not tell."""
    issuer = (await api.get(_CONFIGURATION, _Configuration)).issuer
    keys = (await api.get(_KEYS, _KeySet)).keys
    if not issuer or not keys:
        raise RemoteFormatError(f"{api.context}: {_KEYS}: it publishes no keys")
    return Issuer(issuer, tuple({name: key[name] for name in key if name in _PUBLIC} for key in keys))
