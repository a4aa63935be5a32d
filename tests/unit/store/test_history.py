"""History: every report once, counters that survive, and one clear line when the store is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.errors import HistoryAwayError, HistoryDamagedError, InputError, SystemRefusedError
from netprobe.model.component import tunnel
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import PlannedEpoch
from netprobe.model.inventory import Cluster, Inventory
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Counters
from netprobe.model.window import Report
from netprobe.store.history import History, Ingested
from netprobe.wire.reports import columns_of
from tests.unit.wire.test_reports import REPORT, SECOND

NEXT = replace(REPORT, sequence=10, start_ns=6 * SECOND, windows=())
FINDING = Finding(
    "cut",
    (tunnel(ClusterName("a"), ClusterName("b")),),
    Cause.TUNNEL_DOWN,
    0.9,
    Prose("cut"),
    first_seen_ns=5,
)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History.at(tmp_path / "history.db")
    yield history
    history.close()


def ingest(history: History, reports: Sequence[Report]) -> Ingested:
    return history.ingest_columns([columns_of(report) for report in reports])


def test_a_report_is_stored_once(history: History) -> None:
    assert ingest(history, [REPORT, NEXT]) == Ingested(2, 0, 2, (True, True))
    assert ingest(history, [NEXT, REPORT]) == Ingested(0, 2, 0, (False, False))
    assert history.counters() == Counters(reports_stored=2, reports_repeated=2, windows_stored=2)
    assert history.count_windows() == 2


def test_a_repeat_within_a_batch_is_dropped(history: History) -> None:
    assert ingest(history, [REPORT, REPORT]) == Ingested(1, 1, 2, (True, False))


def test_a_restarted_agent_may_use_its_numbers_again(history: History) -> None:
    again = replace(REPORT, boot="an0ther")
    assert ingest(history, [REPORT, again]).stored == 2


def test_reports_come_back_in_order_of_time(history: History) -> None:
    ingest(history, [NEXT, REPORT])
    assert list(history.reports_since(0)) == [REPORT, NEXT]
    assert list(history.reports_since(6 * SECOND)) == [NEXT]


def planned(since_ns: int) -> PlannedEpoch:
    inventory = Inventory((Cluster(ClusterName("prod")),))
    return PlannedEpoch(since_ns, since_ns, 7, SECOND, "digest", inventory)


def test_reports_end_before_a_time(history: History) -> None:
    ingest(history, [NEXT, REPORT])
    assert list(history.reports_since(0, before_ns=6 * SECOND)) == [REPORT]


def test_the_epochs_of_a_time_are_those_that_stood_in_it(history: History) -> None:
    for since_ns in (20, 10, 30):
        history.keep_epoch(planned(since_ns))
    told = {span: [one.since_ns for one in history.epochs_between(*span)]
            for span in ((0, 9), (5, 10), (10, 19), (19, 20), (25, 99), (99, 99))}  # fmt: skip
    assert told == {
        (0, 9): [],
        (5, 10): [10],
        (10, 19): [10],
        (19, 20): [10, 20],
        (25, 99): [20, 30],
        (99, 99): [30],
    }
    assert history.epochs_between(10, 10) == (planned(10),)


def test_an_epoch_is_forgotten_once_it_has_ended_before_every_kept_report(history: History) -> None:
    for since_ns in (10, 20, 30):
        history.keep_epoch(planned(since_ns))
    history.prune(before_ns=25)
    assert [one.since_ns for one in history.epochs_between(0, 99)] == [20, 30]


def test_a_history_without_epochs_is_read_and_given_a_place_for_them(tmp_path: Path) -> None:
    History.at(tmp_path / "h.db").close()
    with sqlite3.connect(tmp_path / "h.db") as connection:
        connection.execute("DROP TABLE epochs")
    older = History.at(tmp_path / "h.db")
    older.keep_epoch(planned(10))
    assert len(older.epochs_between(10, 10)) == 1
    older.close()


def test_what_was_counted_survives(tmp_path: Path) -> None:
    first = History.at(tmp_path / "h.db")
    ingest(first, [REPORT])
    first.ingest_columns([columns_of(NEXT)], malformed=3, rejected=[4])
    first.close()
    second = History.at(tmp_path / "h.db")
    assert second.ingest_columns([columns_of(NEXT)], rejected=[4]).repeated == 1
    assert second.counters() == Counters(2, 1, 2, 3, 4)
    second.close()


def test_a_batch_is_stored_whole_or_not_at_all(history: History) -> None:
    broken = columns_of(NEXT)
    broken.boot = None  # type: ignore[assignment]
    with pytest.raises(SystemRefusedError):
        history.ingest_columns([columns_of(REPORT), broken])
    assert history.counters() == Counters()
    assert list(history.reports_since(0)) == []


def test_a_large_batch_fits(history: History) -> None:
    many = [replace(NEXT, sequence=number) for number in range(1_500)]
    assert ingest(history, many).stored == 1_500
    assert ingest(history, many).repeated == 1_500


def test_the_old_is_pruned_and_the_counters_stay(history: History) -> None:
    ingest(history, [REPORT, NEXT])
    assert history.prune(before_ns=6 * SECOND) == 1
    assert list(history.reports_since(0)) == [NEXT]
    assert history.counters().windows_stored == 2


def test_an_incident_is_kept_and_brought_up_to_date(history: History) -> None:
    history.keep_incidents([FINDING])
    ended = replace(FINDING, ended_ns=9)
    history.keep_incidents([ended, replace(FINDING, first_seen_ns=20)])
    assert history.incidents_since(0) == (ended, replace(FINDING, first_seen_ns=20))


def test_another_schema_is_refused(tmp_path: Path) -> None:
    History.at(tmp_path / "h.db").close()
    with sqlite3.connect(tmp_path / "h.db") as connection:
        connection.execute("UPDATE meta SET value = 7 WHERE key = 'schema'")
    connection.close()
    with pytest.raises(SystemRefusedError, match=r"h\.db has schema 7; this netprobe reads 1"):
        History.at(tmp_path / "h.db")


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "h.db").write_text("no database at all, but long enough to be looked at" * 9)
    with pytest.raises(SystemRefusedError, match="file is not a database") as caught:
        History.at(tmp_path / "h.db")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["what", "nosuchdb://host/name"])
def test_a_url_that_is_none_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(InputError, match="history: is not a usable database URL") as caught:
        History(url)
    assert "\n" not in str(caught.value)


def made(sequence: int, *, start_ns: int = SECOND) -> Report:
    return replace(NEXT, sequence=sequence, start_ns=start_ns)


def _no_head(data: bytes) -> bytes:
    return b"\0" * 4096 + data[4096:]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _damaged_page(data: bytes) -> bytes:
    middle = len(data) // 2 // 4096 * 4096
    return data[:middle] + b"\xff" * 4096 + data[middle + 4096 :]


DAMAGES = {"no head": _no_head, "half": _half, "a page": _damaged_page, "text": lambda _: b"hello " * 2_000}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_moved_aside_and_an_empty_history_begins(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "history.db"
    with closing(History.at(file)) as before:
        ingest(before, [made(sequence) for sequence in range(500)])
    spoilt = damage(file.read_bytes())
    file.write_bytes(spoilt)
    with pytest.raises(HistoryDamagedError):
        History.at(file)
    with closing(History(f"sqlite:///{file}", replace_damaged=True)) as history:
        assert ingest(history, [made(1)]).stored == 1
        (aside,) = history.moved_aside
    assert aside.read_bytes() == spoilt
    assert "an empty history begins" in caplog.text


def test_damaged_files_do_not_fill_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    for _ in range(4):
        file.write_bytes(b"hello " * 2_000)
        History(f"sqlite:///{file}", replace_damaged=True).close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 2


def test_a_lock_is_named_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.store.history_tables.BUSY_MS", 20)
    file = tmp_path / "history.db"
    with closing(History.at(file)) as history, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryAwayError, match="locked"):
            ingest(history, [made(1)])
        other.execute("ROLLBACK")
        assert ingest(history, [made(1)]).stored == 1


def test_reports_are_stored_between_two_pieces_of_a_prune(history: History) -> None:
    """Three threads prune, write and read what is old, new and counted: all of it holds in the end."""
    ingest(history, [made(sequence) for sequence in range(5_000)])
    with ThreadPoolExecutor(3) as pool:
        pruning = pool.submit(history.prune, before_ns=10**18)
        later = [
            pool.submit(ingest, history, [made(n, start_ns=10**18 + n * SECOND)]) for n in range(6_000, 6_020)
        ]
        assert pruning.result() == 5_000
        assert [one.result().stored for one in later] == [1] * 20
    assert len(list(history.reports_since(0))) == 20


def test_an_incident_that_cannot_be_read_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(History.at(tmp_path / "history.db")) as history:
        history.keep_incidents([FINDING, replace(FINDING, first_seen_ns=20)])
    with closing(sqlite3.connect(tmp_path / "history.db")) as raw:
        raw.execute("update incidents set body = x'00' where first_seen_ns = 5")
        raw.commit()
    with closing(History.at(tmp_path / "history.db")) as history:
        assert history.incidents_since(0) == (replace(FINDING, first_seen_ns=20),)
    assert [record.getMessage() for record in caplog.records if "incident" in record.getMessage()]


def test_only_the_newest_incidents_are_read_and_old_ones_are_forgotten(history: History) -> None:
    each = [replace(FINDING, first_seen_ns=at, ended_ns=at + 2) for at in range(10, 20)]
    history.keep_incidents([*each, replace(FINDING, first_seen_ns=1)])
    assert history.incidents_since(0, most=3) == tuple(each[-3:])
    assert history.prune_incidents(before_ns=15) == 4
    assert history.incidents_since(0) == tuple(each[3:])


def test_only_its_owner_may_read_a_history(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    file.touch(0o644)
    with closing(History.at(file)) as history:
        ingest(history, [REPORT])
        modes = {part.name: part.stat().st_mode & 0o777 for part in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("history.db", "history.db-wal", "history.db-shm"), 0o600)


def test_a_report_of_a_far_year_is_pruned_some_day(history: History) -> None:
    far = replace(REPORT, start_ns=REPORT.length_ns * 10**6, windows=())
    history.ingest_columns([columns_of(far)], not_after_ns=100)
    assert list(history.reports_since(0)) == [far]
    assert history.newest_start_ns() == 100
    assert history.prune(before_ns=101) == 1


def test_numbers_of_stored_reports_are_found_by_boot(history: History) -> None:
    ingest(history, [REPORT, NEXT])
    agent, boot = str(REPORT.agent), REPORT.boot
    assert history.newest_sequences(agent, boot, most=9) == (NEXT.sequence, REPORT.sequence)
    assert history.newest_sequences(agent, boot, most=1) == (NEXT.sequence,)
    assert history.newest_sequences(agent, "another", most=9) == ()


def test_writing_to_prove_that_it_can_be_done_changes_nothing(history: History) -> None:
    before = history.counters()
    history.prove_writable()
    assert history.counters() == before


def test_a_history_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with closing(History.at(tmp_path / "history.db")) as history:
        with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            with pytest.raises(HistoryAwayError, match="locked"):
                history.prove_writable()
        history.prove_writable()


def test_tables_without_their_rows_are_damage(tmp_path: Path) -> None:
    """What SQLite leaves of a young history whose write-ahead log was spoilt."""
    with closing(History.at(tmp_path / "history.db")):
        pass
    with closing(sqlite3.connect(tmp_path / "history.db")) as raw:
        raw.execute("delete from meta")
        raw.commit()
    with pytest.raises(HistoryDamagedError):
        History.at(tmp_path / "history.db")
    url = f"sqlite:///{tmp_path / 'history.db'}"
    with closing(History(url, replace_damaged=True)) as history:
        assert len(history.moved_aside) == 1
