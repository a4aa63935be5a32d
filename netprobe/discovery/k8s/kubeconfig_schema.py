"""The shape of a kubeconfig file, as far as it is read here; the client library reads the rest.

Rule: unknown fields are welcome, since others write these files; what is known must have the right type.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import msgspec
import yaml

from netprobe.errors import InputError

_MAX_BYTES = 16 * 1024 * 1024
_MAX_LEVELS = 64
"""Of brackets in a stranger's file: a scanner of YAML takes seconds for some thousands of open ones."""


class KubeconfigClusterDoc(msgspec.Struct, frozen=True, rename=lambda name: name.replace("_", "-")):
    """How a server is reached."""

    server: str = ""
    certificate_authority: str | None = None
    """A file."""
    certificate_authority_data: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool | None = None
    proxy_url: str | None = None


class ExecDoc(msgspec.Struct, frozen=True):
    """A program that gives credentials."""

    command: str = ""


class AuthProviderDoc(msgspec.Struct, frozen=True):
    """A part of the client that gives credentials (older than programs, and gone from kubectl)."""

    name: str = ""


_USER_FIELDS = {
    "auth_provider": "auth-provider",
    "token_file": "tokenFile",
    "client_certificate": "client-certificate",
    "client_key": "client-key",
}


class UserDoc(msgspec.Struct, frozen=True, rename=_USER_FIELDS):
    """Who we are there, as far as programs and files are named; no credential is read here."""

    exec: ExecDoc | None = None
    auth_provider: AuthProviderDoc | None = None
    token_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


class ContextDoc(msgspec.Struct, frozen=True):
    """A cluster and a user by their names in the same file."""

    cluster: str = ""
    user: str = ""


class NamedCluster(msgspec.Struct, frozen=True):
    """An entry of ``clusters``."""

    name: str
    cluster: KubeconfigClusterDoc


class NamedUser(msgspec.Struct, frozen=True):
    """An entry of ``users``."""

    name: str
    user: UserDoc | None = None


class NamedContext(msgspec.Struct, frozen=True):
    """An entry of ``contexts``."""

    name: str
    context: ContextDoc


class KubeconfigDoc(msgspec.Struct, frozen=True, rename={"current_context": "current-context"}):
    """A whole file; kubectl writes ``null`` for empty lists."""

    clusters: tuple[NamedCluster, ...] | None = ()
    users: tuple[NamedUser, ...] | None = ()
    contexts: tuple[NamedContext, ...] | None = ()
    current_context: str = ""


def parse_kubeconfig(text: str) -> KubeconfigDoc:
    """A kubeconfig of a stranger; what is wrong is an :class:`InputError` that repeats nothing of it."""
    if _count_levels(text) > _MAX_LEVELS:
        raise InputError("is nested too deeply")
    try:
        return msgspec.convert(yaml.safe_load(text) or {}, KubeconfigDoc)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InputError("is not a kubeconfig") from error


def _count_levels(text: str) -> int:
    """How deep brackets are nested at most; those inside texts count too, since they hardly matter."""
    steps = (1 if each in "[{" else -1 for each in text if each in "[]{}")
    return max(accumulate(steps), default=0)


def read_kubeconfig(file: Path) -> KubeconfigDoc:
    """Read *file*; every mistake is one :class:`InputError` that names file and field."""
    try:
        raw = file.read_bytes()
        if len(raw) > _MAX_BYTES:
            raise InputError(f"is {len(raw)} bytes; a kubeconfig may have {_MAX_BYTES}", where=str(file))
        return msgspec.convert(yaml.safe_load(raw) or {}, KubeconfigDoc)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise InputError(f"is not YAML: {error.problem}", where=where) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"is not YAML: {' '.join(str(error).split())}", where=str(file)) from error
    except msgspec.ValidationError as error:
        raise InputError(f"is not a kubeconfig: {error}", where=str(file)) from error
