"""One registered cluster: whose tokens are good, and how its API is reached."""

from __future__ import annotations

from pathlib import Path

import msgspec

from netprobe.wire.documents import read_document


class RegisteredDoc(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of the folder that ``netprobe collector --clusters`` names."""

    name: str
    issuer: str = ""
    """``iss`` of its ServiceAccount tokens; asked from its API where that is reached."""
    keys: tuple[dict[str, str], ...] = ()
    """Its public keys (RFC 7517)."""
    kubeconfig: str = ""
    """A file beside this one that leads to its API; empty where we may not ask it."""
    context: str = ""
    """A context of that file; empty for its current one."""
    in_cluster: bool = False
    """Whether it is the cluster that the collector itself stands in."""
    namespace: str = "netprobe"
    """Where its agents stand."""


def read_registered_document(path: Path) -> RegisteredDoc:
    """Read one file; :class:`InputError` names file, line and field."""
    return read_document(path, RegisteredDoc)
