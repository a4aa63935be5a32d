"""nkeys: we write and sign the bytes that NATS's own library does (vectors made by nkeys 0.2.1)."""

from __future__ import annotations

import pytest

from netprobe.bus.nkey import KeyPair, KeyRole, write_seed
from netprobe.errors import InputError

SECRET = bytes(range(32))
SIGNATURE = (
    "f874eae1de830c754d6fc32c4d1019b5221ad2f5c0ff2b996e5c1303b253e706"
    "3398a071276c2961f8c787b85ca6d66589d6d5c3fe992f2b9b8e6ff20e4f8e09"
)
"""Of ``nonce``; a key's role is not part of what is signed."""
VECTORS = {
    KeyRole.USER: (
        "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y",
        "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK",
    ),
    KeyRole.ACCOUNT: (
        "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI",
        "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV",
    ),
    KeyRole.OPERATOR: (
        "SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA",
        "OAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QZVT",
    ),
    KeyRole.SERVER: (
        "SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U",
        "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB",
    ),
    KeyRole.CLUSTER: (
        "SCAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYO7Q",
        "CAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3R53J",
    ),
}


@pytest.mark.parametrize("role", KeyRole)
def test_seeds_and_public_keys_are_spelled_as_the_library_spells_them(role: KeyRole) -> None:
    seed, public = VECTORS[role]
    pair = KeyPair(seed)
    assert (write_seed(SECRET, role), pair.role, pair.public) == (seed, role, public)
    assert pair.sign(b"nonce").hex() == SIGNATURE


def test_the_key_of_the_librarys_own_tests_signs_the_same() -> None:
    pair = KeyPair("SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU")
    assert pair.public == "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"
    assert pair.sign(b"nonce").hex().startswith("752685a6a8ee910d5b2b5d225419f9ca")


@pytest.mark.parametrize("at", [2, 30, 57])
def test_a_seed_with_a_mistyped_letter_is_refused(at: int) -> None:
    seed, _ = VECTORS[KeyRole.USER]
    other = "B" if seed[at] != "B" else "C"
    with pytest.raises(InputError, match=r"^is not an nkey seed$"):
        KeyPair(seed[:at] + other + seed[at + 1 :])


@pytest.mark.parametrize("text", [VECTORS[KeyRole.USER][1], "", "ü", "1", "S", "su" + "a" * 56])
def test_what_is_not_a_seed_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^is not an nkey seed$"):
        KeyPair(text)


def test_a_secret_of_another_length_makes_no_seed() -> None:
    with pytest.raises(ValueError, match="32 bytes, not of 31"):
        write_seed(bytes(31), KeyRole.USER)
