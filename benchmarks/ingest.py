"""Ingest: messages as they come from the bus, through validation into the history, on one core.

Beside it, in the same process and on the same disk: SQLite's own bulk insert of the same windows as ready
rows, one row per window, without decoding or checking anything. CPU seconds are user and system time.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from netprobe.bus.collector import BATCH, Delivery
from netprobe.bus.subjects import windows_subject
from netprobe.collector.report_validation import ReportValidator
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind
from netprobe.model.fleet import Coverage, FleetPlan
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Histogram, Report, Window
from netprobe.store.history import History
from netprobe.wire.reports import encode_report, report_of

Row = tuple[object, ...]

SECOND = 1_000_000_000
LOSS = 0.05
NOW_NS = 1_700_000_010 * SECOND
START_NS = 1_700_000_000 * SECOND


def run(arguments: list[str]) -> dict[str, object]:
    """Ingest a fleet's reports; each agent has as many checks as are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ingest")
    parser.add_argument("--windows", type=int, default=400_000, help="in all")
    parser.add_argument("--checks", type=int, default=100, help="windows per report")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    plans, deliveries, rows = _fleet(asked.windows // asked.checks, asked.checks, random.Random(asked.seed))
    intake = ReportValidator(FleetPlan(1, 10 * SECOND, plans, (), Coverage()))
    count = len(rows)
    with tempfile.TemporaryDirectory() as directory:
        ours = _measure(lambda: _ingest(intake, deliveries, Path(directory) / "ours.db", count=count))
        peer = _measure(lambda: _bulk_insert(rows, Path(directory) / "peer.db"))
        sizes = [(Path(directory) / name).stat().st_size for name in ("ours.db", "peer.db")]
    building = _measure(lambda: [report_of(c) for c in intake.admit(deliveries).reports])
    return {
        "windows": count,
        "windows per report": asked.checks,
        "bytes per window on the bus": round(sum(len(d.data) for d in deliveries) / count, 1),
        "bytes per window on disk": round(sizes[0] / count, 1),
        "bytes per row, bulk insert": round(sizes[1] / count, 1),
        "windows per CPU second": round(count / ours[0]),
        "windows per second": round(count / ours[1]),
        "rows per CPU second, bulk insert": round(count / peer[0]),
        "ratio to bulk insert (CPU)": round(peer[0] / ours[0], 2),
        "decoded to values per CPU second": round(count / building[0]),
    }


def _fleet(
    agents: int, checks: int, rng: random.Random
) -> tuple[tuple[Plan, ...], list[Delivery], list[Row]]:
    plans: list[Plan] = []
    deliveries: list[Delivery] = []
    rows: list[Row] = []
    for number in range(agents):
        agent = AgentId.parse(f"cluster-{number // 100}/node-{number % 100}/pod")
        windows = tuple(_window(CheckId(rng.getrandbits(63)), rng) for _ in range(checks))
        report = Report(
            agent, 1, 1, "b00t", START_NS, 10 * SECOND, windows, (), AgentHealth(agent, NOW_NS, 1)
        )
        target = Target(TargetKind.AGENT, "192.0.2.1", "peer")
        asked = tuple(Check(window.check, agent, target, Probe("udp"), Layer.POD) for window in windows)
        plans.append(Plan(agent, 1, asked, 10 * SECOND, b""))
        deliveries.append(Delivery(windows_subject(agent), encode_report(report), "token"))
        rows += [_row(str(agent), window) for window in windows]
    return tuple(plans), deliveries, rows


def _window(check: CheckId, rng: random.Random) -> Window:
    lost = sum(rng.random() < LOSS for _ in range(3))
    outcomes = ((OutcomeKind.REACHED, 3 - lost), (OutcomeKind.TIMED_OUT, lost))[: 2 if lost else 1]
    rtt = Histogram.of([rng.randrange(100_000, 1_000_000) for _ in range(3 - lost)])
    peer = f"cluster-{rng.randrange(10)}/node-{rng.randrange(100)}/pod"
    return Window(
        check, START_NS, 10 * SECOND, 3, 3 - lost, outcomes, lost_out=lost, rtt=rtt, answered_by=peer
    )


def _row(agent: str, window: Window) -> Row:
    counts = (window.sent, window.answered, window.lost_out, window.lost_back)
    texts = (str(window.outcomes), str(window.rtt.buckets), window.answered_by)
    return (agent, window.check, window.start_ns, window.length_ns, *counts, *texts)


def _ingest(intake: ReportValidator, deliveries: list[Delivery], path: Path, *, count: int) -> None:
    history = History.at(path)
    for begin in range(0, len(deliveries), BATCH):
        admitted = intake.admit(deliveries[begin : begin + BATCH])
        history.ingest_columns(
            admitted.reports, rejected=admitted.rejected, malformed=len(admitted.complaints)
        )
    kept = history.count_windows()
    history.close()
    if kept != count:
        raise RuntimeError("windows were lost; the figures would mean nothing")


def _bulk_insert(rows: list[Row], path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    columns = "agent, id, start, length, sent, answered, out, back, outcomes, rtt, peer"
    connection.execute(f"CREATE TABLE windows ({columns}, PRIMARY KEY (agent, id, start))")
    size = BATCH * 100
    insert = f"INSERT INTO windows VALUES ({','.join('?' * 11)})"
    for begin in range(0, len(rows), size):
        with connection:
            connection.executemany(insert, rows[begin : begin + size])
    connection.close()


def _measure(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of *work*."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall
