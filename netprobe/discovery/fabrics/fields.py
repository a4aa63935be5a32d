"""Reads fields of an untrusted object: typed, cleaned, bounded; what does not fit is named and skipped.

Rule: nothing here raises for what an object holds. A field that is missing where it is needed, of a wrong
type, too long or not an address ends as one :class:`UnreadField`, and the rest of the object is read.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from netprobe.discovery.fabrics.objects import MAX_LIST, FabricObject, FabricObjects
from netprobe.model.clean_text import clean
from netprobe.model.fabric import UnreadField

MAX_TEXT = 1024
"""Characters of one text."""
MAX_NAME = 253
"""Characters of a name: as long as Kubernetes allows (RFC 1123)."""
MAX_NOTES = 100
"""Problems that are kept in full; further ones are counted."""
_MISSING = object()
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")


def read_certificates(text: str) -> tuple[tuple[bytes, ...], bool]:
    """The certificates (PEM, RFC 7468) in a text, as DER, and whether all of them could be decoded.

    Everything else in it is left out, private keys too.
    """
    kept = []
    blocks = _CERTIFICATE.findall(text)[:MAX_LIST]
    for block in blocks:
        try:
            kept.append(b64decode("".join(block.split()), validate=True))
        except ValueError:
            continue
    return tuple(kept), len(kept) == len(blocks)


@dataclass(slots=True)
class UnreadNotes:
    """The problems of one reading."""

    _notes: dict[UnreadField, None] = field(default_factory=dict)
    _more: int = 0

    def add(self, where: str, name: str, problem: str) -> None:
        """Note one problem; the same one is noted once."""
        note = UnreadField(clean(where), clean(name), problem)
        if note in self._notes:
            return
        if len(self._notes) < MAX_NOTES:
            self._notes[note] = None
        else:
            self._more += 1

    def add_denied(self, objects: FabricObjects) -> None:
        """Note the kinds that are served and could not be listed."""
        for kind in objects.denied:
            self.add(str(kind), "", "cannot be listed")

    def all(self) -> tuple[UnreadField, ...]:
        """Every problem, in the order in which they were met."""
        rest = (UnreadField("further fields", "", f"{self._more} more"),) if self._more else ()
        return (*self._notes, *rest)


class FieldReader:
    """Reads below one place of an object."""

    def __init__(
        self, where: str, found: object, notes: UnreadNotes, *, at: str = "", is_readable: bool = True
    ) -> None:
        self._where = where
        self._found = found
        self._notes = notes
        self._at = at
        self._is_readable = is_readable

    @classmethod
    def of(cls, one: FabricObject, notes: UnreadNotes) -> FieldReader:
        """At the top of an object; an object that was not read is noted and has no fields."""
        if one.problem:
            notes.add(str(one.reference), "", one.problem)
        return cls(str(one.reference), one.body, notes, is_readable=not one.problem)

    def path(self, name: str) -> str:
        """The whole path of a field, for people."""
        return f"{self._at}.{name}" if self._at else name

    def text(self, name: str, *, is_needed: bool = False, most: int = MAX_NAME) -> str:
        """A text; empty where it is not there."""
        found = self._get(name, is_needed=is_needed)
        if found is _MISSING:
            return ""
        if not isinstance(found, str):
            return self._refuse(name, "is not a text")
        if len(found) > most:
            return self._refuse(name, f"has more than {most:,} characters")
        return clean(found).strip()

    def prose(self, name: str) -> str:
        """A sentence that is only shown: one line, cut where it is too long."""
        found = self._get(name)
        if found is _MISSING:
            return ""
        if not isinstance(found, str):
            return self._refuse(name, "is not a text")
        line = " ".join(clean(found[: 2 * MAX_TEXT]).split())
        return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"

    def flag(self, name: str) -> bool:
        """A boolean; False where it is not there."""
        found = self._get(name)
        if found is _MISSING or isinstance(found, bool):
            return found is True
        self._refuse(name, "is not true or false")
        return False

    def port(self, name: str) -> int:
        """A port, as a number or (Submariner, Linkerd, Skupper) as its text; 0 where it is not there."""
        found = self._get(name)
        if found is _MISSING or found == "":
            return 0
        if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= len("65535"):
            found = int(found)
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 1 << 16:
            return found
        self._refuse(name, "is not a port")
        return 0

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; entries that are none are named and skipped."""
        kept = []
        for number, each in enumerate(self._list(name)):
            if isinstance(each, str) and len(each) <= MAX_NAME:
                kept.append(clean(each).strip())
            else:
                self._refuse(f"{name}[{number}]", "is not a text, or too long")
        return tuple(filter(None, kept))

    def addresses(self, *names: str) -> tuple[str, ...]:
        """Addresses in canonical form, of the first of *names* that has any: a list, or a single one."""
        for name in names:
            found = self._get(name)
            texts = (self.text(name),) if isinstance(found, str) else self.texts(name)
            kept = [address for text in texts if text for address in self._address(name, text)]
            if kept:
                return tuple(dict.fromkeys(kept))
        return ()

    def listed_addresses(self, name: str) -> tuple[str, ...]:
        """Addresses in one text, separated by commas; names among them are left to who resolves them."""
        words = (word.strip() for word in self.text(name, most=MAX_TEXT).split(","))
        found = []
        for word in words:
            try:
                found.append(str(ipaddress.ip_address(word)))
            except ValueError:
                continue
        return tuple(dict.fromkeys(found))

    def mtu(self, name: str) -> int:
        """An MTU in bytes, at least that of IPv4 (RFC 791); 0 where it is not there."""
        found = self._get(name)
        if found is _MISSING:
            return 0
        if isinstance(found, int) and not isinstance(found, bool) and 576 <= found < 1 << 16:
            return found
        self._refuse(name, "is not an MTU")
        return 0

    def ranges(self, name: str) -> tuple[str, ...]:
        """CIDRs in canonical form; entries that are none are named and skipped."""
        kept = []
        for text in self.texts(name):
            try:
                kept.append(str(ipaddress.ip_network(text, strict=False)))
            except ValueError:
                self._refuse(name, "is not a range of addresses")
        return tuple(dict.fromkeys(kept))

    def below(self, name: str) -> FieldReader:
        """The mapping in a field; an empty one where it is not there."""
        found = self._get(name)
        if found is _MISSING:
            found = {}
        elif not isinstance(found, Mapping):
            self._refuse(name, "is not a mapping")
            found = {}
        return FieldReader(self._where, found, self._notes, at=self.path(name), is_readable=self._is_readable)

    def items(self, name: str) -> Iterator[FieldReader]:
        """The mappings of a list; entries that are none are named and skipped."""
        for number, each in enumerate(self._list(name)):
            at = f"{name}[{number}]"
            if isinstance(each, Mapping):
                yield FieldReader(self._where, each, self._notes, at=self.path(at))
            else:
                self._refuse(at, "is not a mapping")

    def moment_ns(self, name: str) -> int | None:
        """A time (RFC 3339) as wall-clock nanoseconds; None where it is not there."""
        text = self.text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            return int(moment.timestamp()) * 1_000_000_000 if moment.tzinfo is not None else None
        except (ValueError, OverflowError):
            self._refuse(name, "is not a time")
            return None

    def conditions(self, name: str) -> dict[str, FieldReader]:
        """The entries of a list of conditions by their ``type``; of two of one type the first."""
        found: dict[str, FieldReader] = {}
        for each in self.items(name):
            found.setdefault(each.text("type", is_needed=True), each)
        return found

    def fingerprints(self, name: str) -> tuple[str, ...]:
        """SHA-256 of each certificate (PEM, RFC 7468) in a text; certificates are public."""
        found = self._get(name)
        if found is _MISSING:
            return ()
        if not isinstance(found, str):
            self._refuse(name, "is not a text")
            return ()
        kept, are_all_read = read_certificates(found)
        if not are_all_read:
            self._refuse(name, "has a certificate that is not base64")
        return tuple(dict.fromkeys(sha256(each).hexdigest() for each in kept))

    def note(self, name: str, problem: str) -> None:
        """Name a field whose value has the right type and no meaning that we know."""
        self._refuse(name, problem)

    def _list(self, name: str) -> list[object]:
        found = self._get(name)
        if found is _MISSING:
            return []
        if not isinstance(found, list):
            self._refuse(name, "is not a list")
            return []
        if len(found) > MAX_LIST:
            self._refuse(name, f"has more than {MAX_LIST:,} entries; the first ones are read")
        return found[:MAX_LIST]

    def _address(self, name: str, text: str) -> Iterator[str]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            self._refuse(name, "is not an address")
            return
        if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
            self._refuse(name, "is an address that leads nowhere")
        else:
            yield str(address)

    def _get(self, name: str, *, is_needed: bool = False) -> object:
        """A field; ``null`` and absence mean the same, as in the API."""
        found = self._found.get(name) if isinstance(self._found, Mapping) else None
        if found is None:
            if is_needed and self._is_readable:
                self._refuse(name, "is missing")
            return _MISSING
        return found

    def _refuse(self, name: str, problem: str) -> str:
        self._notes.add(self._where, self.path(name), problem)
        return ""
