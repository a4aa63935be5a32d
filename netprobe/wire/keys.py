"""The keys file: the public key of each agent, and the keys of operators."""

from __future__ import annotations

from pathlib import Path

import msgspec

from netprobe.wire.documents import read_document


class KeysDoc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``{"agents": {"cluster/node/plane": "U…"}, "operators": ["U…"]}``."""

    agents: dict[str, str]
    operators: tuple[str, ...] = ()


def read_keys_document(path: Path) -> KeysDoc:
    """Read the keys file (JSON, a subset of YAML); :class:`InputError` names file, line and field."""
    return read_document(path, KeysDoc)
