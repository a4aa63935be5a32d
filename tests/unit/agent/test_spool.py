"""Reports on disk: in order, bounded, kept across a restart, and every loss counted."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.errors import BusAwayError
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import AgentHealth, Report, Window
from netprobe.wire.reports import encode_report
from netprobe_agent.outbox import Outbox
from netprobe_agent.spool import Spool

AGENT = AgentId.parse("prod/w1/pod")
SECOND = 1_000_000_000


def make_report(sequence: int) -> Report:
    window = Window(CheckId(7), sequence * SECOND, SECOND, 1, 1, ((OutcomeKind.REACHED, 1),))
    health = AgentHealth(AGENT, 5, 1)
    return Report(AGENT, 1, sequence, "b00t", sequence * SECOND, SECOND, (window, window), (), health)


def drain(spool: Spool) -> list[int]:
    found = []
    while (report := spool.peek()) is not None:
        found.append(report.sequence)
        spool.pop()
    return found


def test_reports_come_back_in_order_also_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for sequence in (1, 2, 3):
        spool.put(make_report(sequence))
    again = Spool(tmp_path)
    assert (len(again), again.windows) == (3, 6)
    again.put(make_report(4))
    assert drain(again) == [1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_is_dropped_and_counted(tmp_path: Path) -> None:
    reports = [make_report(sequence) for sequence in range(1, 6)]
    spool = Spool(tmp_path, max_bytes=3 * max(len(encode_report(report)) for report in reports))
    for report in reports:
        spool.put(report)
    assert spool.windows_dropped == 4
    assert drain(spool) == [3, 4, 5]


def spoil_head(data: bytes) -> bytes:
    return bytes(8) + data[8:]


def turn_a_bit(data: bytes) -> bytes:
    """What may well be read as another report: one number differs."""
    start = data.rindex(SECOND.to_bytes(4, "big"))
    return data[:start] + (SECOND ^ 1).to_bytes(4, "big") + data[start + 4 :]


SPOILT = {
    "torn": lambda data: data[:10],
    "head": spoil_head,
    "zeroed": lambda data: bytes(len(data)),
    "one bit": turn_a_bit,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("end", ["report", "copy"])
def test_a_spoilt_file_costs_nothing_while_its_copy_is_whole(
    tmp_path: Path, end: str, spoil: Callable[[bytes], bytes]
) -> None:
    spool = Spool(tmp_path)
    for sequence in (1, 2):
        spool.put(make_report(sequence))
    for file in tmp_path.glob(f"*.{end}"):
        file.write_bytes(spoil(file.read_bytes()))
    again = Spool(tmp_path)
    assert again.peek() == make_report(1)
    assert drain(again) == [1, 2]
    assert again.windows_dropped == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["report", "copy"])
def test_a_report_whose_file_or_copy_is_gone_is_sent_once(tmp_path: Path, end: str) -> None:
    spool = Spool(tmp_path)
    for sequence in (1, 2):
        spool.put(make_report(sequence))
    for file in tmp_path.glob(f"*.{end}"):
        file.unlink()
    assert drain(Spool(tmp_path)) == [1, 2]


def test_copies_make_room_before_any_report_does(tmp_path: Path) -> None:
    size = max(len(encode_report(make_report(sequence))) for sequence in range(1, 6))
    spool = Spool(tmp_path, max_bytes=4 * size)
    for sequence in (1, 2):
        spool.put(make_report(sequence))
    assert len(list(tmp_path.glob("*.copy"))) == 2
    for sequence in (3, 4):
        spool.put(make_report(sequence))
    assert list(tmp_path.glob("*.copy")) == []
    assert drain(spool) == [1, 2, 3, 4]
    assert spool.windows_dropped == 0


def test_files_of_an_earlier_build_are_sent(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000007-2.report").write_bytes(encode_report(make_report(1)))
    spool = Spool(tmp_path)
    spool.put(make_report(2))
    assert drain(Spool(tmp_path)) == [1, 2]


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_report_whose_both_files_are_spoilt_is_dropped_and_counted(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    spool = Spool(tmp_path)
    spool.put(make_report(1))
    spool.put(make_report(2))
    for file in sorted(tmp_path.iterdir())[:2]:
        file.write_bytes(spoil(file.read_bytes()))
    (tmp_path / "00000000000000000009-1.part").write_bytes(b"half")
    again = Spool(tmp_path)
    assert drain(again) == [2]
    assert again.windows_dropped == 2


def test_a_folder_that_cannot_be_made_keeps_reports_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool")
    spool.put(make_report(1))
    spool.put(make_report(2))
    assert spool.refuses
    assert caplog.text.count("reports are kept in memory") == 1
    assert drain(spool) == [1, 2]
    assert spool.windows_dropped == 0


def test_memory_is_bounded_and_its_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    size = len(encode_report(make_report(9)))
    spool = Spool(tmp_path / "file" / "spool", max_memory_bytes=3 * size)
    for sequence in range(1, 6):
        spool.put(make_report(sequence))
    assert drain(spool) == [3, 4, 5]
    assert spool.windows_dropped == 4


def strange_files(folder: Path) -> None:
    """What other programs and accidents may leave between reports."""
    (folder / "00000000000000000003-2.report").mkdir()
    (folder / "x.part").mkdir()
    (folder / "00000000000000000004-2.report").symlink_to("nowhere")
    (folder / "y.part").symlink_to("nowhere")
    (folder / "README").write_text("not ours")


def test_strange_things_among_the_reports_stop_nothing(tmp_path: Path) -> None:
    Spool(tmp_path).put(make_report(1))
    strange_files(tmp_path)
    strange = set(tmp_path.iterdir()) - set(tmp_path.glob("*0-2-*"))
    assert len(strange) == 5
    spool = Spool(tmp_path)
    spool.put(make_report(2))
    assert drain(spool) == [1, 2]
    assert not spool.refuses
    assert set(tmp_path.iterdir()) == strange


def test_the_greatest_number_leaves_room_for_the_next(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(make_report(1))
    (entry,) = tmp_path.glob("*.report")
    entry.rename(tmp_path / f"{10**20 - 1}-2.report")
    (copy,) = tmp_path.glob("*.copy")
    copy.rename(tmp_path / f"{10**20 - 1}-2.report.copy")
    spool = Spool(tmp_path)
    spool.put(make_report(2))
    assert sorted(drain(Spool(tmp_path))) == [1, 2]


@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_disk_that_refuses_is_survived(tmp_path: Path, how: str) -> None:
    """In a mount namespace of its own: a real file system, full or turned read-only, and writable again."""
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "--user",
         sys.executable, "-m", "tests.unit.agent.refusing_disk", how, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "unshare:" in done.stderr:
        pytest.skip(f"namespaces are refused here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)
        == {
            "read-only": {"refused": True, "sent": [1, 2, 3, 4, 5], "dropped": 0, "refuses after": False},
            "full": {"refused": False, "newest kept": True, "dropped is oldest": True, "counted": True},
        }[how]
    )


class Bus:
    """A bus that goes down and comes back."""

    def __init__(self) -> None:
        self.is_there = True
        self.stored: list[int] = []
        self.seen_on_disk: list[int] = []
        self.spool: Spool | None = None

    async def publish(self, report: Report) -> None:
        await asyncio.sleep(0)
        if not self.is_there:
            raise BusAwayError("the bus is away")
        self.stored.append(report.sequence)
        self.seen_on_disk.append(len(self.spool) if self.spool else 0)


async def settle(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - waits for files too
            await asyncio.sleep(0.001)


async def test_while_the_bus_is_there_nothing_touches_the_disk(tmp_path: Path) -> None:
    spool, bus = Spool(tmp_path), Bus()
    bus.spool = spool
    outbox = Outbox(spool, pause_s=0.001)
    sending = asyncio.ensure_future(outbox.send_forever(bus))
    for sequence in range(1, 6):
        outbox.put(make_report(sequence))
        await settle(lambda want=sequence: want in bus.stored)
    sending.cancel()
    assert bus.stored == [1, 2, 3, 4, 5]
    assert bus.seen_on_disk == [0] * 5


async def test_what_the_bus_did_not_take_is_on_disk_and_goes_out_later_in_order(tmp_path: Path) -> None:
    spool, bus = Spool(tmp_path), Bus()
    outbox = Outbox(spool, pause_s=0.001)
    sending = asyncio.ensure_future(outbox.send_forever(bus))
    bus.is_there = False
    for sequence in (1, 2, 3):
        outbox.put(make_report(sequence))
        await settle(lambda want=sequence: len(list(tmp_path.glob("*.report"))) == want)
    bus.is_there = True
    await settle(lambda: len(spool) == 0)
    sending.cancel()
    assert bus.stored == [1, 2, 3]
    assert Spool(tmp_path).peek() is None


async def test_stopping_leaves_what_was_not_stored_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = Outbox(spool)
    outbox.put(make_report(1))
    sending = asyncio.ensure_future(outbox.send_forever(Bus()))
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    outbox.spill()
    assert drain(Spool(tmp_path)) == [1]
