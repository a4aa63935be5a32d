"""What a collector is: fixed commands, and a pure reading of what they printed.

Rules: output is hostile. A reader returns facts or raises `HostOutputError`, whatever bytes it is given; it
keeps no key, and no text of a stranger that is not printable and short.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import msgspec

from netprobe.discovery.ssh.allowed_commands import Address, Command
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.gateway import Fact

T = TypeVar("T")

Printed: TypeAlias = Mapping[str, bytes]
"""What each command printed, by its name; what one that failed complained of stands by its name and ``!``."""

MOST_FACTS = 50_000
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class AddressPair:
    """The two addresses that a question is about; both None if it is about all traffic."""

    target: Address | None = None
    source: Address | None = None


@dataclass(frozen=True, slots=True)
class GatewayReader:
    """One kind of evidence."""

    name: str
    commands: Callable[[AddressPair], tuple[Command, ...]]
    """What to run about a pair; empty where it has nothing to ask about it."""
    read: Callable[[Printed], tuple[Fact, ...]]
    """Pure; raises `HostOutputError`."""


def decode(raw: bytes, kind: type[T], *, command: str) -> T:
    """Read JSON strictly as *kind*."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HostOutputError(f"{command}: not what it prints: {str(error)[:120]}") from error


def lines(raw: bytes) -> list[str]:
    """The lines of a text; bytes that are not UTF-8 are replaced."""
    found = raw.decode(errors="replace").splitlines()
    if len(found) > MOST_FACTS:
        raise HostOutputError(f"{len(found)} lines; {MOST_FACTS} are read")
    return found


def count(text: str, *, command: str, base: int = 10) -> int:
    """A count: digits only, at most 64 bits."""
    # int() would also take signs, spaces, underscores and other alphabets' digits.
    allowed = "0123456789abcdef"[:base]
    if not text or len(text) > 20 or any(letter not in allowed for letter in text):
        raise HostOutputError(f"{command}: expected a number, got {name(text)!r}")
    return int(text, base)


def name(text: str) -> str:
    """A name that is safe to show: printable, short."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST_NAME])


def address(text: str) -> str:
    """The IP address of an endpoint such as ``203.0.113.1:51820``; empty where there is none."""
    host = text.rpartition(":")[0] if text.count(":") == 1 or text.startswith("[") else text
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return ""


def network(text: str) -> str | None:
    """A canonical CIDR, or None."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None
