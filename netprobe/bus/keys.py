"""Keys on the bus: an nkey pair per agent and per person (Ed25519, base32 with a role prefix and CRC-16).

Rule: a seed never leaves its file's owner; it is read only from files that no other user may read, and it
never appears in an error or a log.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from netprobe.bus import nkey
from netprobe.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_USER_PREFIX_LETTER = "U"
_PUBLIC_LENGTH = 56


def new_user() -> tuple[str, str]:
    """A fresh user key: the secret seed (``SU…``) and the public key (``U…``)."""
    seed = nkey.write_seed(secrets.token_bytes(32), nkey.KeyRole.USER)
    return seed, public_key(seed)


def public_key(seed: str) -> str:
    """The public key (``U…``) of a user's *seed*; :class:`InputError` if it is not a user seed."""
    pair = nkey.KeyPair(seed)
    if pair.role is not nkey.KeyRole.USER:
        raise InputError("is an nkey seed, but not a user's (SU…)")
    return pair.public


def is_public_user(text: str) -> bool:
    """Whether *text* looks like a user's public key: ``U`` and base32, with a right length."""
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    return len(text) == _PUBLIC_LENGTH and text.startswith(_USER_PREFIX_LETTER) and set(text) <= alphabet


def read_seed(path: Path, *, public: Callable[[str], str] = public_key) -> str:
    """Read a seed file; refuse one that others may read, or that *public* does not take.

    Raises :class:`InputError` naming the file.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise InputError(f"cannot be read: {reason}", where=str(path)) from error
    if mode & 0o077:
        raise InputError(f"others may read it (mode {mode & 0o777:04o}); run chmod 600", where=str(path))
    try:
        public(text)
    except InputError as error:
        raise InputError(error.what, where=str(path)) from error
    return text


def write_seed(path: Path, seed: str) -> None:
    """Write *seed* to a new file that only its owner may read; an existing file is replaced."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(seed + "\n")
