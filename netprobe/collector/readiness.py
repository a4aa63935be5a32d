"""Whether the collector serves the bus: a file for people and scripts, a reason for ``/readyz``."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from netprobe.errors import SystemRefusedError
from netprobe.store.private_file import replace_file

logger = logging.getLogger(__name__)


class Readiness:
    """Ready while a bus connection is served and reports can be taken.

    The file survives reconnects and contains the addresses.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_serving = False
        self._hindrance = ""

    def announce(self, bus_url: str, monitor_url: str) -> None:
        """The bus is served at *bus_url*; metrics at *monitor_url*, empty for nowhere."""
        self._is_serving, self._hindrance = True, ""
        content = {"url": bus_url, "pid": os.getpid()} | ({"http": monitor_url} if monitor_url else {})
        try:
            replace_file(self._file, json.dumps(content))
        except SystemRefusedError as error:  # a full disk; who asks over HTTP is answered all the same
            logger.warning("%s", error)
        logger.info("serving on %s", bus_url)

    def hinder(self, why: str) -> None:
        """The bus is served, but reports cannot be taken, and *why*; empty where they can."""
        self._hindrance = why

    def suspend(self) -> None:
        """The bus is not served until the next :meth:`announce`."""
        self._is_serving = False

    def withdraw(self) -> None:
        """Remove the file: no collector serves from this directory."""
        with suppress(OSError):  # a read-only disk keeps it
            self._file.unlink(missing_ok=True)

    def why_not(self) -> str:
        """Why the collector is not ready; empty where it is."""
        return self._hindrance if self._is_serving else "the bus is not served yet"
