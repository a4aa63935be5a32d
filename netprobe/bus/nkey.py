"""nkeys: Ed25519 keys in NATS's spelling, base32 with the key's role in front and a CRC-16 behind.

Rule: the text of a seed never appears in an error. The library of that name does the same, but it exists as
source only, and an agent for another Python or machine is put together from wheels.

Source: github.com/nats-io/nkeys, ``strkey.go`` and ``crc16.go`` (CRC-16/XMODEM, little-endian).
"""

from __future__ import annotations

import base64
import binascii
from enum import IntEnum

from nacl.signing import SigningKey

from netprobe.errors import InputError

_SEED = 18 << 3  # base32 spells it S
_KEY_BYTES = 32
_SEED_BYTES = 2 + _KEY_BYTES + 2


class KeyRole(IntEnum):
    """Whose key it is, as the first letter of the public key says."""

    ACCOUNT = 0  # A
    CLUSTER = 2 << 3  # C
    SERVER = 13 << 3  # N
    OPERATOR = 14 << 3  # O
    USER = 20 << 3  # U


class KeyPair:
    """A seed's key pair."""

    __slots__ = ("_key", "role")

    def __init__(self, seed: str) -> None:
        """Read *seed*; :class:`InputError` if it is not one."""
        self.role, secret = _read_seed(seed)
        self._key = SigningKey(secret)

    @property
    def public(self) -> str:
        """The public key: ``U…``, ``A…``, as its role says."""
        return _spell(bytes([self.role]) + bytes(self._key.verify_key))

    def sign(self, content: bytes) -> bytes:
        """The signature of *content*, 64 bytes."""
        return bytes(self._key.sign(content).signature)


def write_seed(secret: bytes, role: KeyRole) -> str:
    """The seed (``SU…``, ``SA…``) of 32 secret bytes.

    >>> write_seed(bytes(range(32)), KeyRole.USER)
    'SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y'
    """
    if len(secret) != _KEY_BYTES:
        raise ValueError(f"a seed is made of {_KEY_BYTES} bytes, not of {len(secret)}")
    return _spell(bytes([_SEED | role >> 5, role << 3 & 0xFF]) + secret)


def _read_seed(seed: str) -> tuple[KeyRole, bytes]:
    """The header's five bits say that it is a seed, its next eight whose."""
    try:
        raw = base64.b32decode(seed.encode("ascii") + b"=" * (-len(seed) % 8))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise InputError("is not an nkey seed") from error
    if len(raw) != _SEED_BYTES or raw[0] & 0xF8 != _SEED or _checksum(raw[:-2]) != raw[-2:]:
        raise InputError("is not an nkey seed")
    try:
        role = KeyRole((raw[0] & 7) << 5 | raw[1] >> 3)
    except ValueError as error:
        raise InputError("is not an nkey seed") from error
    return role, raw[2:-2]


def _spell(content: bytes) -> str:
    return base64.b32encode(content + _checksum(content)).rstrip(b"=").decode()


def _checksum(content: bytes) -> bytes:
    return binascii.crc_hqx(content, 0).to_bytes(2, "little")
