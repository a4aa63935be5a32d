"""Registration of one cluster: the keys of its tokens, and access to its API."""

from __future__ import annotations

from pathlib import Path

import msgspec

from netprobe.wire.documents import read_document


class RegisteredDoc(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of the folder that ``netprobe collector --clusters`` names."""

    name: str
    issuer: str = ""
    """``iss`` of its ServiceAccount tokens; read from its API if that can be reached."""
    keys: tuple[dict[str, str], ...] = ()
    """Its public keys (RFC 7517)."""
    kubeconfig: str = ""
    """A kubeconfig file in the same folder; empty if we have no access to its API."""
    account: str = ""
    """The ServiceAccount whose expiring token the kubeconfig holds: the collector renews it; empty: nothing
    is renewed."""
    context: str = ""
    """A context of that file; empty: the current context."""
    in_cluster: bool = False
    """Whether the collector itself runs in this cluster."""
    namespace: str = "netprobe"
    """Namespace of its agents."""


def read_registered_document(path: Path) -> RegisteredDoc:
    """Read one file; :class:`InputError` names file, line and field."""
    return read_document(path, RegisteredDoc)
