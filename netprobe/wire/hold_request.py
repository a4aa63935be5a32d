"""The request to an agent to hold an idle TCP connection open: ``GET /hold/<seconds>/<proof>``.

Rule: the proof is a keyed digest, so that only holders of the key can keep connections open; an agent also
limits their number. The header ``Asker`` says whose key it is; without it, it is that of a whole fleet.
"""

from __future__ import annotations

import hashlib
import hmac

from netprobe.wire.stamp import Seal

MAX_HOLD_S = 7_200
_PROOF_BYTES = 16
_ASKER = b"Asker: "


def encode_hold(seconds: int, *, seal: Seal) -> bytes:
    """The complete request to hold this connection for *seconds*."""
    asker = _ASKER + seal.asker + b"\r\n" if seal.asker else b""
    line = f"GET /hold/{seconds}/{_prove(seconds, seal.key)} HTTP/1.1\r\nHost: agent\r\n".encode()
    return line + asker + b"\r\n"


def read_asker(head: bytes) -> bytes:
    """Who asks, as :attr:`netprobe.wire.stamp.Request.asker`; empty where a request's *head* does not say."""
    lines = head.split(b"\r\n")
    return next((line.removeprefix(_ASKER) for line in lines if line.startswith(_ASKER)), b"")


def decode_hold(target: bytes, *, key: bytes) -> int | None:
    """The seconds that a request's target asks for; None for other requests and wrong proofs.

    >>> decode_hold(encode_hold(30, seal=Seal(b"k")).split()[1], key=b"k")
    30
    """
    parts = target.split(b"/")
    if len(parts) != 4 or parts[:2] != [b"", b"hold"] or not parts[2].isdigit() or len(parts[2]) > 5:
        return None
    seconds = int(parts[2])
    is_proven = hmac.compare_digest(parts[3], _prove(seconds, key).encode())
    return seconds if is_proven and seconds <= MAX_HOLD_S else None


def _prove(seconds: int, key: bytes) -> str:
    return hashlib.blake2b(f"hold {seconds}".encode(), key=key[:64], digest_size=_PROOF_BYTES).hexdigest()
