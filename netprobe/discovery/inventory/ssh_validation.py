"""Whether what people wrote about the SSH way to a node can be right.

Rule: shape only, and no file is opened; keys and known hosts are read when a connection is made. Nothing
here may look like an option to OpenSSH or a second word to anybody.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from netprobe.discovery.inventory.field_error import FieldError, Step
from netprobe.wire.inventory import ForwardDoc, HopDoc, SshDoc

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")
_MOST_JUMPS = 8
_PORTS = range(1, 65_536)


def find_ssh_errors(ssh: SshDoc, at: tuple[Step, ...]) -> Iterator[FieldError]:
    """Every error in *ssh*, at path *at* of its document."""
    yield from _hop_errors(ssh.target, (*at, "target"))
    for index, jump in enumerate(ssh.jumps):
        yield from _hop_errors(jump, (*at, "jumps", index))
    if ssh.bus_port is not None and ssh.bus_port not in _PORTS:
        yield FieldError(f"{ssh.bus_port} is outside 1–65535", (*at, "bus_port"))
    if len(ssh.jumps) > _MOST_JUMPS:
        yield FieldError(f"{len(ssh.jumps)} jump hosts; a way may have {_MOST_JUMPS}", (*at, "jumps"))


def find_forward_errors(forward: ForwardDoc, at: tuple[Step, ...]) -> Iterator[FieldError]:
    """Every error in *forward*, at path *at* of its document."""
    if not _HOST.fullmatch(forward.host):
        yield FieldError(f"{forward.host!r} is neither an address nor a name", (*at, "host"))
    if forward.port not in _PORTS:
        yield FieldError(f"{forward.port} is outside 1–65535", (*at, "port"))
    yield from find_ssh_errors(forward.through, (*at, "through"))


def _hop_errors(hop: HopDoc, at: tuple[Step, ...]) -> Iterator[FieldError]:
    if not _HOST.fullmatch(hop.host):
        yield FieldError(f"{hop.host!r} is neither an address nor a name", (*at, "host"))
    if hop.user and not _USER.fullmatch(hop.user):
        yield FieldError(f"{hop.user!r} is not a user name", (*at, "user"))
    if hop.port is not None and hop.port not in _PORTS:
        yield FieldError(f"{hop.port} is outside 1–65535", (*at, "port"))
    if hop.certificate and not hop.key:
        yield FieldError("a certificate needs the key it belongs to", (*at, "certificate"))
    if "PRIVATE KEY" in hop.key or "\n" in hop.key:
        yield FieldError("name the key's file here, never the key itself", (*at, "key"))
    if hop.host_key and not _is_public_key(hop.host_key):
        yield FieldError("is not a public key such as 'ssh-ed25519 AAAA…'", (*at, "host_key"))


def _is_public_key(text: str) -> bool:
    kind, _, rest = text.partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    # RFC 4253, section 6.6: the blob begins with its own kind as a string.
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")] == kind.encode() and "\n" not in text
