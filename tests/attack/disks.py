"""Disks and files that refuse: a full volume, a locked history, a spool on a disk that turns bad.

A full volume needs a volume: that attack is the experiment of ``benchmarks.chaos``, in namespaces of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from benchmarks.chaos.experiments import locked
from netprobe.collector import report_ingest
from netprobe.collector.incident_archive import IncidentArchive
from netprobe.errors import NetprobeError
from netprobe.store import history_tables
from netprobe_agent.spool import Spool
from tests import fleets
from tests.attack.tally import AttackTally
from tests.unit.agent.test_spool import drain, make_report, strange_files
from tests.unit.collector.parts import ListBus, collector_parts, delivery_of
from tests.unit.collector.test_service import measure
from tests.unit.nats_server import until

CHAOS_OPTIONS: tuple[str, ...] = ()
"""More options of ``python -m benchmarks chaos``."""
_BUSY_MS = 20
_RETRY_S = 0.02
_WINDOWS = 2
"""Of each report that is made here."""


async def attack_with_a_full_disk() -> AttackTally:
    """The volume of bus and history is full for a while: it is said, and nothing is lost or stays broken."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks", "chaos", "--json", "--small", "--only", "disk full",
        *CHAOS_OPTIONS, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, complaint = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the experiment does not run: {complaint.decode()[-2000:]}")
    seen = json.loads(told)
    tally = AttackTally()
    tally.note("seen", held=seen["seconds_unseen"] != float("inf"))
    tally.note("heals by itself", held=not seen["restarts_by_hand"])
    tally.note("every report is stored", held=seen["reports_sent"] == seen["reports_stored"] > 0)
    tally.note("none is missing without a reason", held=not seen["reports_unexplained"])
    tally.note("nothing unmeasured is green", held=not seen["green_while_unmeasured"])
    return tally


async def attack_with_a_locked_history() -> AttackTally:
    """Another program holds the history's write lock for longer than a statement waits."""
    tally = AttackTally()
    with (
        TemporaryDirectory() as made,
        patch.object(history_tables, "BUSY_MS", _BUSY_MS),
        patch.object(report_ingest, "RETRY_S", _RETRY_S),
        collector_parts(Path(made)) as here,
    ):
        report = measure(here.service.analysis.fleet.plans[0], 1)
        bus = ListBus([delivery_of(report)])
        with locked(here.settings.data / "history.db"):
            taking = asyncio.create_task(here.service.ingest.take(bus))
            await until(lambda: taking.done() or bool(here.service.ingest.fault))
            # they wait for the lock as often as it takes; meanwhile the report is tried again and again
            tally.note("the plans' epoch", held=await _survives(here.service.publication.record_epoch()))
            tally.note(
                "incidents",
                held=await _survives(IncidentArchive(here.history).archive(fleets.several().findings)),
            )
            tally.note("it goes on", held=not taking.done())
            tally.note("it is said", held="locked" in here.service.ingest.fault)
            tally.note("no report is acknowledged", held=not bus.acknowledged)
        taken = (await asyncio.gather(taking, return_exceptions=True))[0]
        tally.note("it is taken afterwards", held=taken is None)
        tally.note("it is stored", held=list(here.history.reports_since(0)) == [report])
        tally.note("it is acknowledged", held=len(bus.acknowledged) == 1)
    return tally


async def _survives(writing: Awaitable[None]) -> bool:
    try:
        await writing
    except NetprobeError:
        return False
    return True


async def attack_spools() -> AttackTally:
    """The disk of a spool refuses for a while: nothing is raised, and each report is sent or counted."""
    tally = AttackTally()
    for name, refusing in REFUSALS.items():
        with TemporaryDirectory() as made:
            _attack_spool(Path(made) / "spool", name, refusing, tally)
    with TemporaryDirectory() as made:
        folder = Path(made)
        Spool(folder).put(make_report(1))
        strange_files(folder)
        sent = _sent_in(lambda: drain(Spool(folder)))
        tally.note("strange files", held=sent == [1])
    return tally


def _attack_spool(
    folder: Path, name: str, refusing: Callable[[Path], AbstractContextManager[None]], tally: AttackTally
) -> None:
    """Two reports before, three while the disk refuses, one of them after a start, and one afterwards."""
    spool, sent = Spool(folder), list[int]()

    def put(number: int) -> list[int]:
        spool.put(make_report(number))
        return []

    def send() -> list[int]:
        report = spool.peek()
        spool.pop()
        return [] if report is None else [report.sequence]

    put(1)
    put(2)
    with refusing(folder):
        for what, do in (("a report", lambda: put(3)), ("sending", send), ("the next", lambda: put(4))):
            done = _sent_in(do)
            tally.note(f"{name}: {what}", held=done is not None)
            sent += done or []
        tally.note(f"{name}: it is said", held=spool.refuses)
        tally.note(f"{name}: a start", held=_sent_in(lambda: drain(Spool(folder / "new"))) == [])
    put(5)
    sent += drain(spool)
    is_each = _WINDOWS * len(sent) + spool.windows_dropped == 5 * _WINDOWS
    tally.note(f"{name}: each is sent or counted", held=is_each and sent == sorted(sent) and sent[-1] == 5)


def _sent_in(do: Callable[[], list[int]]) -> list[int] | None:
    """What *do* returns; None where it raises what would end an agent."""
    try:
        return do()
    except OSError:
        return None


@contextmanager
def _without_folder(folder: Path) -> Iterator[None]:
    """A file is in the folder's place: nothing can be read, written or removed."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


@contextmanager
def _without_room(folder: Path) -> Iterator[None]:
    """The kernel takes no byte more for a file of this process; what is there can be read and removed."""
    del folder
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


REFUSALS: dict[str, Callable[[Path], AbstractContextManager[None]]] = {
    "no folder": _without_folder,
    "no room": _without_room,
}
