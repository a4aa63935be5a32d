"""The shape of a kubeconfig file, as far as it is read here; the client library reads the rest.

Rule: unknown fields are welcome, since others write these files; what is known must have the right type.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from netprobe.errors import InputError

_MAX_BYTES = 16 * 1024 * 1024


class KubeconfigClusterDoc(msgspec.Struct, frozen=True):
    """How a server is reached."""

    server: str = ""


class ExecDoc(msgspec.Struct, frozen=True):
    """A program that gives credentials."""

    command: str = ""


class UserDoc(msgspec.Struct, frozen=True):
    """Who we are there."""

    exec: ExecDoc | None = None


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
