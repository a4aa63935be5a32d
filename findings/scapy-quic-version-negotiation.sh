#!/bin/sh
# scapy-quic-version-negotiation: a QUIC version negotiation is read as an Initial packet where its second bit is set.
#
# Expected: version 0 makes a long header a Version Negotiation packet, whatever the other seven bits are (RFC 9000, 17.2.1).
# True:     scapy.layers.quic looks at the second and the type bits first: 0xc0 gives QUIC_Initial, 0x80 gives QUIC_Version.
# Version:  scapy 2.8.0
# Seen:     2026-11-30
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scapy==2.8.0
"$folder/venv/bin/python" - <<'END'
from scapy.layers.quic import QUIC

VERSION_NEGOTIATION = bytes(4) + b"\x04" + b"dest" + b"\x04" + b"from" + b"\x00\x00\x00\x01" + b"\x6b\x33\x43\xcf"
found = {}
for first in (0x80, 0xC0):
    packet = QUIC(bytes([first]) + VERSION_NEGOTIATION)
    found[first] = type(packet).__name__
    print(f"first byte {first:#x}, version 0: scapy reads {found[first]}")
print("RFC 9000 17.2.1: a server sets the seven bits as it likes, and should set 0x40 where QUIC shares its port")
raise SystemExit(found != {0x80: "QUIC_Version", 0xC0: "QUIC_Initial"})
END
