"""Keys of asker and responder: who derives which of them from what (HMAC-SHA-256, RFC 2104).

Rules:

- the collector's master secret M never leaves it. The key of a responder (an agent, or a service that several
  agents stand behind) in key epoch e is K = HMAC(M, e, its name); its plan holds K.
- an asker's plan holds HMAC(K, the asker's name) for each target. The responder derives the same from the
  name in the request, so it keeps nothing about its askers. From one plan follows no other agent's key.
"""

from __future__ import annotations

import hmac

KEY_BYTES = 16
"""As many as an HMAC in a packet has (RFC 8972, section 4.8)."""


def derive_responder_key(master: bytes, name: str, *, key_epoch: int) -> bytes:
    """The key of the agent or service *name* in *key_epoch*; only the collector can."""
    return _derive(master, b"responder %d %s" % (key_epoch, name.encode()))


def derive_asker_key(responder_key: bytes, asker: bytes) -> bytes:
    """What *asker* (:func:`netprobe.wire.stamp.short_name`) and the responder have in common."""
    return _derive(responder_key, b"asker " + asker)


def _derive(key: bytes, told: bytes) -> bytes:
    return hmac.digest(key, b"netprobe " + told, "sha256")[:KEY_BYTES]
