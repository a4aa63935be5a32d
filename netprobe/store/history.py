"""The collector's memory: every report once, the plans they answer, incidents, and what was counted.

Rules: a report is named by agent, boot and sequence, and a repeat is counted and dropped. What is counted is
committed together with what it counts, so a crash between two transactions neither loses nor doubles. A
report is one row with its columns as one blob: a row per window would cost several times the space and time,
and no query reads a single window. One thread writes at a time, and what is old is deleted in pieces, so that
our own threads never wait for a lock in vain. SQLite is the default; any URL of SQLAlchemy's will do.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path
from typing import Self

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)

from netprobe.errors import (
    HistoryAwayError,
    HistoryDamagedError,
    InputError,
    RemoteFormatError,
    SystemRefusedError,
)
from netprobe.model.finding import Finding
from netprobe.model.fleet import PlannedEpoch
from netprobe.model.snapshot import Counters
from netprobe.model.window import Report
from netprobe.store.history_tables import (
    CHUNK,
    COUNTERS,
    EPOCHS,
    INCIDENTS,
    META,
    REPORTS,
    TABLES,
    add_counted,
    find_known,
    key_of_report,
    row_of,
    tune_sqlite,
)
from netprobe.wire.conclusions import decode_epoch, decode_finding, encode_epoch, encode_finding
from netprobe.wire.reports import ReportColumns, decode_report

logger = logging.getLogger(__name__)

SCHEMA = 1

_ATTEMPTS = 3
_NO_LIMIT_NS = 2**63 - 1
_PRUNED_AT_ONCE = 2_000
"""Reports deleted in one transaction."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_KEPT_DAMAGED = 2
"""Damaged files that are kept; older ones are deleted."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a batch of reports."""

    stored: int
    repeated: int
    windows: int
    fresh: tuple[bool, ...] = ()
    """For each report of the batch, whether it was new."""


class History:
    """The store behind *url* (``sqlite:///file``, ``postgresql+psycopg://…``).

    Its methods block; they may be called from any thread.
    """

    def __init__(self, url: str, *, replace_damaged: bool = False) -> None:
        """*replace_damaged*: a damaged SQLite file is moved aside, and an empty history begins."""
        self.moved_aside: tuple[Path, ...] = ()
        """Damaged files that were moved aside since the start; the newest is last."""
        self._writing = threading.RLock()
        try:
            self._engine = sa.create_engine(url, hide_parameters=True)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise InputError(
                f"is not a usable database URL: {_first_line(error)}", where="history"
            ) from error
        self.name = self._engine.url.render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", tune_sqlite)
        try:
            self._open(replace_damaged=replace_damaged)
        except BaseException:
            self.close()
            raise

    def _open(self, *, replace_damaged: bool) -> None:
        self._keep_private()
        try:
            with self._translated():
                self._check()
                self._prepare()
        except HistoryDamagedError:
            if not replace_damaged or self._file is None:
                raise
            self.replace_damaged()

    def _keep_private(self) -> None:
        """Only its owner may read the file: it names every address and every weak part."""
        file = self._file
        if file is None or str(file) == ":memory:":
            return
        for end in ("", "-wal", "-shm"):  # SQLite makes these with the rights of the file
            part = file.with_name(file.name + end)
            with suppress(OSError):  # a folder that is not there, or not ours, shows when it is opened
                if not end:
                    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                if part.stat().st_uid == os.geteuid() and part.exists():
                    part.chmod(0o600)

    @classmethod
    def at(cls, path: Path) -> Self:
        """The SQLite history in the file *path*."""
        return cls(f"sqlite:///{path}")

    @property
    def _file(self) -> Path | None:
        """The SQLite file; None for other databases and for one in memory."""
        url = self._engine.url
        return Path(url.database) if self._engine.dialect.name == "sqlite" and url.database else None

    def replace_damaged(self) -> None:
        """Move a damaged SQLite file aside and begin with an empty one: the present does not need the past.

        Raises :class:`SystemRefusedError` for other databases, and where the file cannot be moved.
        """
        file = self._file
        if file is None:
            raise SystemRefusedError(
                f"history {self.name}: is damaged; repair it with the tools of its database"
            )
        with self._writing:
            self._engine.dispose()
            aside = file.with_name(f"{file.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
            try:
                for end in ("", "-wal", "-shm"):
                    part = file.with_name(file.name + end)
                    if part.exists():
                        part.rename(aside.with_name(aside.name + end))
                for old in sorted(file.parent.glob(f"{file.name}.damaged-*T*.??????"))[:-_KEPT_DAMAGED]:
                    for each in file.parent.glob(f"{old.name}*"):
                        each.unlink()
            except OSError as error:
                raise SystemRefusedError(
                    f"{file}: is damaged and cannot be moved aside: {error.strerror}"
                ) from error
            self.moved_aside = (*self.moved_aside, aside)
            logger.error("%s is damaged: moved to %s; an empty history begins", file, aside.name)
            self._keep_private()
            with self._translated():
                self._prepare()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def ingest_columns(
        self, batch: Sequence[ReportColumns], *, rejected: Sequence[int] = (), malformed: int = 0,
        not_after_ns: int = _NO_LIMIT_NS,
    ) -> Ingested:  # fmt: skip
        """Store reports and count, in one transaction.

        *rejected* says for each report how many windows were taken out of it before; it counts with a new
        report and not with a repeat. *malformed* counts messages that were no reports. A report that says it
        starts after *not_after_ns* is kept as one of that time, so that it is pruned some day.
        """
        with self._writing, self._translated():
            for attempt in range(_ATTEMPTS):
                try:
                    return self._ingest_once(
                        batch, malformed=malformed, rejected=rejected, not_after_ns=not_after_ns
                    )
                except IntegrityError:  # another collector stored one of them in between
                    if attempt == _ATTEMPTS - 1:
                        raise
        raise AssertionError("unreachable")

    def counters(self) -> Counters:
        """Everything counted since this store was made."""
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(sa.select(META.c.key, META.c.value)).all()
        return Counters(**{key: value for key, value in rows if key in COUNTERS})

    def prove_writable(self) -> None:
        """Write, and change nothing."""
        same = sa.update(META).where(META.c.key == "schema").values(value=META.c.value)
        with self._writing, self._translated(), self._engine.begin() as connection:
            connection.execute(same)

    def newest_sequences(self, agent: str, boot: str, *, most: int) -> tuple[int, ...]:
        """The greatest numbers of stored reports of *agent* since *boot*, at most so many, greatest first."""
        columns = REPORTS.c
        wanted = (
            sa.select(columns.sequence)
            .where(columns.agent == agent, columns.boot == boot)
            .order_by(columns.sequence.desc())
            .limit(most)
        )
        with self._translated(), self._engine.connect() as connection:
            return tuple(int(number) for number in connection.execute(wanted).scalars())

    def count_windows(self) -> int:
        """How many windows are kept now; less than was stored once old ones have been pruned."""
        with self._translated(), self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.sum(REPORTS.c.windows))).scalar() or 0)

    def reports_since(self, start_ns: int, *, before_ns: int | None = None) -> Iterator[Report]:
        """Every kept report that starts at *start_ns* or later, and before *before_ns*, oldest first."""
        started = REPORTS.c.start_ns
        wanted = sa.select(REPORTS.c.body).where(started >= start_ns).order_by(started)
        if before_ns is not None:
            wanted = wanted.where(started < before_ns)
        with self._translated(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=CHUNK).execute(wanted):
                yield decode_report(row.body)

    def keep_epoch(self, epoch: PlannedEpoch) -> None:
        """Remember which plans are asked from ``epoch.since_ns`` on."""
        told = {"since_ns": epoch.since_ns, "body": encode_epoch(epoch)}
        with self._writing, self._translated(), self._engine.begin() as connection:
            connection.execute(sa.delete(EPOCHS).where(EPOCHS.c.since_ns == epoch.since_ns))
            connection.execute(sa.insert(EPOCHS), [told])

    def epochs_between(self, start_ns: int, end_ns: int) -> tuple[PlannedEpoch, ...]:
        """Every planned epoch that was asked at a time from *start_ns* to *end_ns*, oldest first."""
        since = EPOCHS.c.since_ns
        first = sa.select(sa.func.max(since)).where(since <= start_ns).scalar_subquery()
        wanted = sa.select(EPOCHS.c.body).where(since >= sa.func.coalesce(first, start_ns), since <= end_ns)
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(wanted.order_by(since)).all()
        return tuple(decode_epoch(row.body) for row in rows)

    def keep_incidents(self, findings: Iterable[Finding]) -> None:
        """Remember *findings*; one that is known (same id and first sight) is brought up to date."""
        with self._writing, self._translated(), self._engine.begin() as connection:
            for finding in findings:
                same = sa.and_(
                    INCIDENTS.c.id == finding.id, INCIDENTS.c.first_seen_ns == finding.first_seen_ns
                )
                told: dict[str, object] = {"ended_ns": finding.ended_ns, "body": encode_finding(finding)}
                if connection.execute(sa.update(INCIDENTS).where(same).values(told)).rowcount == 0:
                    told |= {"id": finding.id, "first_seen_ns": finding.first_seen_ns}
                    connection.execute(sa.insert(INCIDENTS).values(told))

    def incidents_since(self, start_ns: int, *, most: int = 1_000_000) -> tuple[Finding, ...]:
        """Remembered findings that were seen first at *start_ns* or later, oldest first; the newest *most*.

        A row that cannot be read is left out: the past must not end the present.
        """
        columns = INCIDENTS.c
        wanted = sa.select(columns.body).where(columns.first_seen_ns >= start_ns)
        newest = wanted.order_by(columns.first_seen_ns.desc(), columns.id.desc()).limit(most)
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(newest).all()
        return tuple(found for row in reversed(rows) if (found := _read_finding(row.body)) is not None)

    def prune_incidents(self, *, before_ns: int) -> int:
        """Forget incidents that ended before *before_ns*; how many."""
        ended = sa.func.coalesce(INCIDENTS.c.ended_ns, INCIDENTS.c.first_seen_ns)
        with self._writing, self._translated(), self._engine.begin() as connection:
            return connection.execute(sa.delete(INCIDENTS).where(ended < before_ns)).rowcount

    def prune(self, *, before_ns: int) -> int:
        """Forget reports that start before *before_ns*, and epochs that ended before; how many reports.

        Counters and incidents stay. Others may write between two pieces.
        """
        since = EPOCHS.c.since_ns
        with self._writing, self._translated(), self._engine.begin() as connection:
            last = connection.execute(sa.select(sa.func.max(since)).where(since <= before_ns)).scalar()
            if last is not None:
                connection.execute(sa.delete(EPOCHS).where(since < last))
        deleted = 0
        while piece := self._prune_piece(before_ns):
            deleted += piece
        return deleted

    def _prune_piece(self, before_ns: int) -> int:
        columns = REPORTS.c
        key = (columns.agent, columns.boot, columns.sequence)
        old = sa.select(*key).where(columns.start_ns < before_ns).order_by(columns.start_ns)
        with self._writing, self._translated(), self._engine.begin() as connection:
            named = sa.tuple_(*key).in_(old.limit(_PRUNED_AT_ONCE).subquery().select())
            return connection.execute(sa.delete(REPORTS).where(named)).rowcount

    def newest_start_ns(self) -> int | None:
        """When the newest report starts; None in an empty history."""
        with self._translated(), self._engine.connect() as connection:
            found = connection.execute(sa.select(sa.func.max(REPORTS.c.start_ns))).scalar()
        return None if found is None else int(found)

    def _ingest_once(
        self, batch: Sequence[ReportColumns], *, rejected: Sequence[int], malformed: int, not_after_ns: int
    ) -> Ingested:
        with self._engine.begin() as connection:
            known = find_known(connection, [key_of_report(columns) for columns in batch])
            fresh = []
            for columns in batch:
                fresh.append(key_of_report(columns) not in known)
                known.add(key_of_report(columns))
            new = [columns for columns, is_new in zip(batch, fresh, strict=True) if is_new]
            if new:
                connection.execute(sa.insert(REPORTS), [row_of(columns, not_after_ns) for columns in new])
            windows = sum(len(columns.windows.check) for columns in new)
            left_out = sum(compress(rejected, fresh))
            counted = Counters(len(new), len(batch) - len(new), windows, malformed, left_out)
            add_counted(connection, counted)
        return Ingested(counted.reports_stored, counted.reports_repeated, windows, tuple(fresh))

    def _check(self) -> None:
        """Read every page of a SQLite file: damage shows at the start, not at some later write."""
        if self._file is not None and self._file.exists():
            with self._engine.connect() as connection:
                found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
            if found != "ok":
                raise HistoryDamagedError(f"history {self.name}: {found.splitlines()[0]}")

    def _prepare(self) -> None:
        with self._engine.begin() as connection:
            is_new = not sa.inspect(connection).has_table("meta")
            TABLES.create_all(connection)  # those that are missing: an extra table does not change the schema
            if is_new:
                start = {"schema": SCHEMA} | dict.fromkeys(COUNTERS, 0)
                connection.execute(sa.insert(META), [{"key": k, "value": v} for k, v in start.items()])
            found = connection.execute(sa.select(META.c.value).where(META.c.key == "schema")).scalar()
        if found is None:  # tables without their rows: what SQLite makes of a spoilt write-ahead log
            raise HistoryDamagedError(f"history {self.name}: has tables and no schema")
        if found != SCHEMA:
            raise SystemRefusedError(f"history {self.name} has schema {found}; this netprobe reads {SCHEMA}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            what = f"history {self.name}: {_first_line(error)}"
            code = (
                getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF
            )  # without its extension
            if code in _DAMAGED:
                raise HistoryDamagedError(what) from error
            if isinstance(error, DBAPIError) and not isinstance(error, ProgrammingError):
                raise HistoryAwayError(what) from error
            raise SystemRefusedError(what) from error


def _read_finding(body: bytes) -> Finding | None:
    try:
        return decode_finding(body)
    except RemoteFormatError as error:
        logger.warning("an incident cannot be read and is left out: %s", error)
        return None


def _first_line(error: Exception) -> str:
    told = getattr(error, "orig", None) or error
    return str(told).strip().partition("\n")[0] or type(told).__name__
