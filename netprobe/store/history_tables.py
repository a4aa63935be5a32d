"""The tables of a history, and the rows that are read and written in every transaction."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from netprobe.model.snapshot import Counters
from netprobe.wire.reports import ReportColumns, encode_columns

CHUNK = 500
"""Rows named in one statement; SQLite takes 32,766 parameters."""
BUSY_MS = 5_000
"""How long a statement waits for another process's lock."""
COUNTERS = tuple(field.name for field in fields(Counters))

TABLES = sa.MetaData()
META = sa.Table(
    "meta",
    TABLES,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
REPORTS = sa.Table(
    "reports",
    TABLES,
    sa.Column("agent", sa.String(512), primary_key=True),
    sa.Column("boot", sa.String(100), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("start_ns", sa.BigInteger, nullable=False, index=True),
    sa.Column("windows", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
EPOCHS = sa.Table(
    "epochs",
    TABLES,
    sa.Column("since_ns", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
INCIDENTS = sa.Table(
    "incidents",
    TABLES,
    sa.Column("id", sa.String(1_000), primary_key=True),
    sa.Column("first_seen_ns", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("ended_ns", sa.BigInteger, nullable=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


def key_of_report(columns: ReportColumns) -> tuple[str, str, int]:
    """What names a report: agent, boot and number."""
    return columns.agent, columns.boot, columns.sequence


def row_of(columns: ReportColumns, not_after_ns: int) -> dict[str, object]:
    """The row of a report; one that says it starts later than *not_after_ns* is kept as one of that time."""
    return {
        "agent": columns.agent,
        "boot": columns.boot,
        "sequence": columns.sequence,
        "start_ns": min(columns.start_ns, not_after_ns),
        "windows": len(columns.windows.check),
        "body": encode_columns(columns),
    }


def find_known(connection: sa.Connection, keys: list[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    """Which of these reports are stored."""
    columns = (REPORTS.c.agent, REPORTS.c.boot, REPORTS.c.sequence)
    known: set[tuple[str, str, int]] = set()
    for begin in range(0, len(keys), CHUNK):
        wanted = sa.tuple_(*columns).in_(keys[begin : begin + CHUNK])
        known.update(
            (row[0], row[1], row[2]) for row in connection.execute(sa.select(*columns).where(wanted))
        )
    return known


def add_counted(connection: sa.Connection, counted: Counters) -> None:
    """Add to what was counted before."""
    for name in COUNTERS:
        more = getattr(counted, name)
        if more:
            statement = sa.update(META).where(META.c.key == name).values(value=META.c.value + more)
            connection.execute(statement)


def tune_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's or a pool's
    """Readers beside one writer (WAL); a commit is on the disk when it returns."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
