"""Reports that wait while the bus is down: in order, bounded, the oldest dropped and counted.

Rules: a report is one file, written atomically and removed when the stream has stored it; reports of an
earlier process are sent first. Files are called ``<number>-<windows>.report``; anything else in the folder is
left alone. The disk is never a reason to stop measuring: what it refuses is kept in memory, and the agent's
health says so.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import RemoteFormatError
from netprobe.model.window import Report
from netprobe.wire.reports import decode_report, encode_report

logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
MAX_MEMORY_BYTES = 4 * 1024 * 1024
"""What is kept in memory at most while the disk refuses reports."""
_NAME = re.compile(r"(\d{20})-(\d+)\.report")
_NUMBERS = 10**19
"""Numbers below this are ours; a file with a greater one does not decide how the next is called."""


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    windows: int
    size: int
    data: bytes | None = None
    """The report itself, where it is kept in memory."""

    @property
    def name(self) -> str:
        return f"{self.number:020d}-{self.windows}.report"


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
        entry = _Entry(self._next, len(report.windows), len(data))
        self._next += 1
        if not self._write(entry, data):
            entry = _Entry(entry.number, entry.windows, entry.size, data)
        self._entries.append(entry)
        self._shrink()

    def peek(self) -> Report | None:
        """The oldest report, or None if the spool is empty; unreadable files are dropped and counted."""
        while self._entries:
            oldest = self._entries[0]
            try:
                data = oldest.data if oldest.data is not None else (self._folder / oldest.name).read_bytes()
                return decode_report(data)
            except (OSError, RemoteFormatError):
                self._drop_oldest()
        return None

    def pop(self) -> None:
        """Remove the oldest report, which has been stored.

        A file that cannot be removed is sent again by the next process; the collector knows repeats.
        """
        if self._entries:
            entry = self._entries.pop(0)
            if entry.data is None:
                with suppress(OSError):
                    (self._folder / entry.name).unlink(missing_ok=True)

    def _write(self, entry: _Entry, data: bytes) -> bool:
        path = self._folder / entry.name
        part = path.with_suffix(".part")
        while True:
            try:
                part.write_bytes(data)
                part.rename(path)
            except OSError as error:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
                if is_full and any(each.data is None for each in self._entries):
                    self._drop_oldest()
                    continue
                self._note_refusal(error)
                return False
            self.refuses = False
            return True

    def _note_refusal(self, error: OSError) -> None:
        if not self.refuses:
            logger.warning("%s: reports are kept in memory: %s", self._folder, error.strerror)
        self.refuses = True

    def _shrink(self) -> None:
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
        entries = []
        for item in os.scandir(self._folder):
            if not item.is_file(follow_symlinks=False):
                continue
            if item.name.endswith(".part"):
                with suppress(OSError):
                    Path(item.path).unlink(missing_ok=True)
            elif match := _NAME.fullmatch(item.name):
                entries.append(_Entry(int(match[1]), int(match[2]), item.stat().st_size))
        return sorted(entries, key=lambda entry: entry.number)
