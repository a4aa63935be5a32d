"""The bases of our images by digest: resolved at a registry by a person, verified at each build.

Rules. ``bases.json`` beside this module says for each build argument of the Dockerfiles which tag it means
and which digest that tag had. A release builds from digests only; one without a digest is refused. Registries
speak OCI's distribution protocol (v1.1): the digest of a manifest is the SHA-256 of its bytes, which is
computed here and not believed.
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("bases.json")
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOSTS = {"docker.io": "registry-1.docker.io"}
_MOST_BYTES = 4 * 1024 * 1024
_WAIT_S = 30

Get = Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], bytes]]
"""A GET: URL and headers to status, headers in lower case, and body."""


class ReleaseError(Exception):
    """Why there is no release; one line."""


@dataclass(frozen=True, slots=True)
class Base:
    """One base of our images."""

    argument: str
    """The build argument of the Dockerfiles."""
    tag: str
    """``registry/repository:tag``: what a person reads."""
    digest: str
    """What was built from; empty until it was resolved."""

    @property
    def pinned(self) -> str:
        """What a build is given; raises :class:`ReleaseError` where no digest is known.

        >>> Base("BASE", "docker.io/library/x:1", "sha256:" + "0" * 64).pinned[:30]
        'docker.io/library/x@sha256:000'
        """
        if not _DIGEST.fullmatch(self.digest):
            raise ReleaseError(f"{self.argument}: {self.tag} has no digest: run `python -m release resolve`")
        return f"{self.tag.rpartition(':')[0]}@{self.digest}"


def read_bases(file: Path = FILE) -> tuple[Base, ...]:
    """Every base, as the file says."""
    return tuple(Base(name, *(entry[key] for key in ("tag", "digest")))
                 for name, entry in json.loads(file.read_text()).items())  # fmt: skip


def write_bases(bases: tuple[Base, ...], file: Path = FILE) -> None:
    """Write the file again."""
    told = {base.argument: {"tag": base.tag, "digest": base.digest} for base in bases}
    file.write_text(json.dumps(told, indent=2) + "\n")


def resolve(base: Base, get: Get) -> Base:
    """*base* with the digest that its registry has for the tag now."""
    body = _manifest(base.tag, base.tag.rpartition(":")[2], get)
    return Base(base.argument, base.tag, f"sha256:{hashlib.sha256(body).hexdigest()}")


def verify(base: Base, get: Get) -> None:
    """Raise :class:`ReleaseError` unless the registry still serves exactly what the digest says."""
    digest = base.pinned.rpartition("@")[2]
    found = f"sha256:{hashlib.sha256(_manifest(base.tag, digest, get)).hexdigest()}"
    if found != digest:
        raise ReleaseError(f"{base.argument}: the registry serves {found} for {digest}")


def get_over_https(url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    """The one way out: HTTPS, with a time-out and a limit."""
    if not url.startswith("https://"):
        raise ReleaseError(f"{url}: only https:// is asked")
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:
            return answer.status, _lowered(answer.headers), answer.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        return error.code, _lowered(error.headers), b""
    except OSError as error:
        raise ReleaseError(f"{url}: cannot be reached: {error}") from error


def _manifest(tag: str, reference: str, get: Get) -> bytes:
    registry, _, name = tag.rpartition(":")[0].partition("/")
    url = f"https://{_HOSTS.get(registry, registry)}/v2/{name}/manifests/{reference}"
    status, headers, body = get(url, {"Accept": _ACCEPT})
    if status == 401:
        token = _token(headers.get("www-authenticate", ""), get)
        status, headers, body = get(url, {"Accept": _ACCEPT, "Authorization": f"Bearer {token}"})
    if status != 200:
        raise ReleaseError(f"{tag}: the registry answers {status} for {reference}")
    if len(body) > _MOST_BYTES:
        raise ReleaseError(f"{tag}: the manifest is larger than {_MOST_BYTES} bytes")
    return body


def _token(challenge: str, get: Get) -> str:
    """An anonymous token, as the registry's challenge says (token authentication)."""
    told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if "realm" not in told:
        raise ReleaseError(f"the registry wants a login that is not understood: {challenge!r}")
    asked = "&".join(f"{key}={told[key]}" for key in ("service", "scope") if key in told)
    status, _, body = get(f"{told['realm']}?{asked}", {})
    document: Any = json.loads(body) if status == 200 else {}
    return str(document.get("token") or document.get("access_token") or "")


def _lowered(headers: Any) -> dict[str, str]:  # noqa: ANN401 - the library's own kind of mapping
    return {key.lower(): value for key, value in headers.items()}
