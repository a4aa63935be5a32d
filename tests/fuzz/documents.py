"""Documents that people write (inventories, keys), and the identity that an agent shows over HTTP."""

from __future__ import annotations

from netprobe.errors import InputError, RemoteFormatError
from netprobe.wire.documents import parse_document
from netprobe.wire.identity import Identity, decode_identity, encode_identity
from netprobe.wire.inventory import InventoryDoc
from netprobe.wire.keys import KeysDoc

INVENTORY = b"""clusters:
- name: prod
  nodes:
  - name: w1
    address: 10.1.0.2
links: []
allowed_targets: [10.0.0.0/8]
agent_port: 9771
"""
KINDS = (InventoryDoc, KeysDoc)
_TEXTS = (INVENTORY, b"- *a\n", b"a: &a [1]\nb: *a\n")
SEEDS = (
    *(bytes([reader]) + text for reader in range(len(KINDS)) for text in _TEXTS),
    bytes([len(KINDS)]) + encode_identity(Identity("prod/w1/pod", "b00t")),
)


def feed(data: bytes) -> None:
    """The reader that the first byte names reads the text or says what is wrong and where."""
    if not data:
        return
    reader, data = data[0] % (len(KINDS) + 1), data[1:]
    if reader < len(KINDS):
        try:
            parse_document(data.decode(errors="replace"), KINDS[reader], source="fuzz.yaml")
        except InputError as error:
            assert error.where.startswith("fuzz.yaml"), error
        return
    try:
        decode_identity(data)
    except RemoteFormatError:
        return
