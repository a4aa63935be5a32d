"""Reports on disk while the bus is down: in order, one file each, bounded, the oldest dropped and counted.

Rules: files are written atomically and removed when the stream has stored the report. Reports of an earlier
process are sent first. Files are called ``<number>-<windows>.report``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import RemoteFormatError, SystemRefusedError
from netprobe.model.window import Report
from netprobe.wire.reports import decode_report, encode_report

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"(\d{20})-(\d+)\.report")


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    windows: int
    size: int

    @property
    def name(self) -> str:
        return f"{self.number:020d}-{self.windows}.report"


class Spool:
    """A bounded queue of reports in one folder, owned by one process at a time."""

    def __init__(self, folder: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self.windows_dropped = 0
        """Windows lost since the start because the spool was full or a file was unreadable."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._entries = self._read_folder()
        except OSError as error:
            raise SystemRefusedError(f"{folder}: cannot keep reports here: {error.strerror}") from error
        self._next = self._entries[-1].number + 1 if self._entries else 0
        self._shrink()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def windows(self) -> int:
        """Number of windows in the spool."""
        return sum(entry.windows for entry in self._entries)

    def put(self, report: Report) -> None:
        """Append *report*; if it cannot be written, its windows are counted as dropped."""
        data = encode_report(report)
        entry = _Entry(self._next, len(report.windows), len(data))
        self._next += 1
        path = self._folder / entry.name
        part = path.with_suffix(".part")
        try:
            part.write_bytes(data)
            part.rename(path)
        except OSError:
            part.unlink(missing_ok=True)
            self.windows_dropped += entry.windows
            return
        self._entries.append(entry)
        self._shrink()

    def peek(self) -> Report | None:
        """The oldest report, or None if the spool is empty; unreadable files are dropped and counted."""
        while self._entries:
            try:
                return decode_report((self._folder / self._entries[0].name).read_bytes())
            except (OSError, RemoteFormatError):
                self._drop_oldest()
        return None

    def pop(self) -> None:
        """Remove the oldest report, which has been stored."""
        if self._entries:
            entry = self._entries.pop(0)
            (self._folder / entry.name).unlink(missing_ok=True)

    def _shrink(self) -> None:
        total = sum(entry.size for entry in self._entries)
        while total > self._max_bytes and self._entries:
            total -= self._entries[0].size
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.windows_dropped += self._entries[0].windows
        self.pop()

    def _read_folder(self) -> list[_Entry]:
        entries = []
        for item in os.scandir(self._folder):
            if item.name.endswith(".part"):
                Path(item.path).unlink(missing_ok=True)
            elif match := _NAME.fullmatch(item.name):
                entries.append(_Entry(int(match[1]), int(match[2]), item.stat().st_size))
        return sorted(entries, key=lambda entry: entry.number)
