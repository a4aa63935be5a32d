"""Reports that wait while the bus is down: in order, bounded, the oldest dropped and counted.

Rules: a report is one file, written atomically and removed when the stream has stored it; reports of an
earlier process are sent first. Files are called ``<number>-<windows>-<CRC-32>.report``; each has a copy,
because a sick disk spoils files and no other part has this report yet. Copies are the first to make room.
Files of earlier builds have no checksum in their names. Anything else in the folder is left alone. The disk
is never a reason to stop measuring: what it refuses is kept in memory, and the agent's health says so.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.errors import RemoteFormatError
from netprobe.model.window import Report
from netprobe.wire.reports import decode_report, encode_report

logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
MAX_MEMORY_BYTES = 4 * 1024 * 1024
"""What is kept in memory at most while the disk refuses reports."""
_COPY = ".copy"
_NAME = re.compile(r"(\d{20})-(\d+)(?:-([0-9a-f]{8}))?\.report(\.copy)?")
_NUMBERS = 10**19
"""Numbers below this are ours; a file with a greater one does not decide how the next is called."""


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    windows: int
    size: int
    checksum: str = ""
    """CRC-32 of the file, in hexadecimal; empty in files of earlier builds."""
    data: bytes | None = None
    """The report itself, where it is kept in memory."""

    @property
    def name(self) -> str:
        return f"{self.number:020d}-{self.windows}{self.checksum and '-'}{self.checksum}.report"

    @property
    def files(self) -> tuple[str, ...]:
        """The report and its copy."""
        return self.name, f"{self.name}{_COPY}"


class Spool:
    """A bounded queue of reports in one folder, owned by one process; no method raises `OSError`."""

    def __init__(
        self, folder: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, max_memory_bytes: int = MAX_MEMORY_BYTES
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_memory_bytes = min(max_memory_bytes, max_bytes)
        self.windows_dropped = 0
        """Windows lost since the start because the spool was full or a file was unreadable."""
        self.refuses = False
        """Whether the disk refused the last report that was to be written."""
        self._has_copies = False
        self._entries: list[_Entry] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._entries = self._read_folder()
        except OSError as error:
            self._note_refusal(error)
        ours = [entry.number for entry in self._entries if entry.number < _NUMBERS]
        self._next = max(ours) + 1 if ours else 0
        self._shrink()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def windows(self) -> int:
        """Number of windows in the spool."""
        return sum(entry.windows for entry in self._entries)

    def put(self, report: Report) -> None:
        """Append *report*: on disk, in place of the oldest ones where that is full, else in memory."""
        data = encode_report(report)
        entry = _Entry(self._next, len(report.windows), len(data), _checksum(data))
        self._next += 1
        if not self._write(entry, data):
            entry = replace(entry, data=data)
        self._entries.append(entry)
        self._shrink()

    def peek(self) -> Report | None:
        """The oldest report, or None if the spool is empty; unreadable files are dropped and counted."""
        while self._entries:
            if (report := self._read(self._entries[0])) is not None:
                return report
            self._drop_oldest()
        return None

    def _read(self, entry: _Entry) -> Report | None:
        """The report, or what its copy says; None where neither can be read."""
        if entry.data is not None:
            return decode_report(entry.data)
        for name in entry.files:
            with suppress(OSError, RemoteFormatError):
                data = (self._folder / name).read_bytes()
                if not entry.checksum or _checksum(data) == entry.checksum:
                    return decode_report(data)
        return None

    def pop(self) -> None:
        """Remove the oldest report, which has been stored.

        A file that cannot be removed is sent again by the next process; the collector knows repeats.
        """
        if self._entries:
            entry = self._entries.pop(0)
            for name in entry.files if entry.data is None else ():
                self._remove(name)

    def _write(self, entry: _Entry, data: bytes) -> bool:
        """Whether *entry* is on the disk now. Copies make room for it first, then the oldest reports."""
        while True:
            try:
                self._write_file(entry.name, data)
            except OSError as error:
                is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
                if is_full and self._drop_copies():
                    continue
                if is_full and any(each.data is None for each in self._entries):
                    self._drop_oldest()
                    continue
                self._note_refusal(error)
                return False
            break
        self.refuses = False
        if self._has_room_for_copies(entry.size):
            self._has_copies = True
            with suppress(OSError):
                self._write_file(f"{entry.name}{_COPY}", data)
        return True

    def _has_room_for_copies(self, more: int) -> bool:
        return 2 * (more + sum(entry.size for entry in self._entries)) <= self._max_bytes

    def _write_file(self, name: str, data: bytes) -> None:
        path = self._folder / name
        part = path.with_suffix(".part")
        try:
            part.write_bytes(data)
            part.rename(path)
        except OSError:
            self._remove(part.name)
            raise

    def _drop_copies(self) -> bool:
        """Remove every copy; whether there was one."""
        if not self._has_copies:
            return False
        self._has_copies = False
        removed = [self._remove(f"{each.name}{_COPY}") for each in self._entries if each.data is None]
        return any(removed)

    def _remove(self, name: str) -> bool:
        try:
            (self._folder / name).unlink()
        except OSError:
            return False
        return True

    def _note_refusal(self, error: OSError) -> None:
        if not self.refuses:
            logger.warning("%s: reports are kept in memory: %s", self._folder, error.strerror)
        self.refuses = True

    def _shrink(self) -> None:
        if not self._has_room_for_copies(0):
            self._drop_copies()
        total = sum(entry.size for entry in self._entries)
        in_memory = sum(entry.size for entry in self._entries if entry.data is not None)
        while self._entries and (total > self._max_bytes or in_memory > self._max_memory_bytes):
            oldest = self._entries[0]
            total -= oldest.size
            in_memory -= oldest.size if oldest.data is not None else 0
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.windows_dropped += self._entries[0].windows
        self.pop()

    def _read_folder(self) -> list[_Entry]:
        entries: dict[tuple[int, int], _Entry] = {}
        for item in os.scandir(self._folder):
            if not item.is_file(follow_symlinks=False):
                continue
            if item.name.endswith(".part"):
                self._remove(item.name)
            elif match := _NAME.fullmatch(item.name):
                number, windows, size = int(match[1]), int(match[2]), item.stat().st_size
                known = entries.get((number, windows))
                size = max(size, known.size if known else 0)
                entries[number, windows] = _Entry(number, windows, size, match[3] or "")
                self._has_copies |= match[4] is not None
        return sorted(entries.values(), key=lambda entry: entry.number)


def _checksum(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"
