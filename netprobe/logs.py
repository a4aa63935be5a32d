"""Diagnostics: each log record is one line on stderr, for people or as JSON.

Rule: a record says what happened, where and why, by names, addresses, counts and versions; never a payload,
never a secret. Libraries stay at warnings, whatever level is chosen: at debug they log headers and tokens.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from time import gmtime, strftime

import msgspec

from netprobe.errors import InputError
from netprobe.model.clean_text import clean

VARIABLE = "NETPROBE_LOG"
"""The environment's choice: a level, ``json``, or both with a comma between."""
LEVELS = ("error", "warning", "info", "debug")
OURS = ("netprobe", "netprobe_agent")
"""The loggers that the level is for; each module logs under its own name below one of them."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much is logged, and in which form."""

    level: str
    as_json: bool = False


def choose_settings(environment: Mapping[str, str], *, verbosity: int, default: str) -> LogSettings:
    """The level of ``NETPROBE_LOG``, or *default*, and *verbosity* steps more.

    >>> choose_settings({}, verbosity=1, default="warning")
    LogSettings(level='info', as_json=False)
    >>> choose_settings({"NETPROBE_LOG": "debug,json"}, verbosity=0, default="warning")
    LogSettings(level='debug', as_json=True)

    Raises :class:`InputError` for a word that is neither a level nor ``json``.
    """
    level, as_json = default, False
    for word in filter(None, (part.strip().lower() for part in environment.get(VARIABLE, "").split(","))):
        if word in LEVELS:
            level = word
        elif word == "json":
            as_json = True
        else:
            raise InputError(f"{word!r} is not {', '.join(LEVELS)} or json", where=VARIABLE)
    return LogSettings(LEVELS[min(LEVELS.index(level) + verbosity, len(LEVELS) - 1)], as_json)


def set_up(settings: LogSettings) -> None:
    """Log to stderr from now on; what was set up before is replaced."""
    handler = StderrHandler()
    handler.setFormatter(JsonLines() if settings.as_json else TextLines())
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.level.upper())


class StderrHandler(logging.Handler):
    """Writes to stderr as it is when a record comes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a stderr that is closed costs the record only."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


class TextLines(logging.Formatter):
    """``2026-11-30T03:00:00.123Z INFO netprobe.bus.connection: connected``, and tracebacks below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's
        """UTC, to the millisecond."""
        del datefmt
        return _moment(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        """A message with line breaks stays on one line."""
        record.message = clean(record.message).replace("\n", "\\n")
        return super().formatMessage(record)


class JsonLines(logging.Formatter):
    """One object per record: ``time``, ``level``, ``logger``, ``message``, and ``error`` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _moment(record: logging.LogRecord) -> str:
    whole = strftime("%Y-%m-%dT%H:%M:%S", gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


def printable(text: str, *, limit: int = 500) -> str:
    """*text* of a stranger, as one line without control characters.

    >>> printable("a" + chr(8238) + chr(10)).isprintable()
    True
    """
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:limit]
    )
    return shown[:limit]
