"""A lab in which one fault is played after another; one that does not settle is noted and replaced."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.equal_path_faults import EQUAL_PATH_FAULTS
from benchmarks.scripted_faults import BY_NAME
from netprobe.bus.operator import ask_snapshot
from netprobe.errors import SystemRefusedError
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.fault_drill import FaultDrill, LabInjector
from netprobe.lab.fault_script import ScriptInjector
from netprobe.model.snapshot import Snapshot

SETTLE_S = 180.0
"""What a fault spoils in part is watched for many intervals before it counts as well."""
_SCRIPTS = BY_NAME | {
    fault.drill_fault.name: fault for places in EQUAL_PATH_FAULTS.values() for fault in places
}


class LabStage:
    """One lab at a time, of one topology; use it as a context manager."""

    def __init__(self, interval_ns: int, topology: Path | None = None) -> None:
        self._interval_ns, self._topology = interval_ns, topology
        self._labs = 0
        self._name = ""
        self.unsettled: dict[str, str] = {}
        """By the fault after which a lab did not settle, what was not well."""

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def new_drill(self) -> FaultDrill:
        """A drill in the lab that is up now."""
        return FaultDrill(self._asker(), self._injector(), self._interval_ns)

    async def settle(self, drill: FaultDrill, *, after: str) -> None:
        """Wait until all is well; a lab that is not is a result of its own, and *drill* goes on in a new one.

        Raises :class:`SystemRefusedError` where the new one does not settle either.
        """
        try:
            await drill.wait_until_healthy(timeout_s=SETTLE_S)
        except SystemRefusedError as error:
            print(f"!  after {after}: {error}", file=sys.stderr, flush=True)
            self.unsettled[after] = str(error)
            await asyncio.to_thread(self._start_again)
            drill.ask, drill.injector = self._asker(), self._injector()
            await drill.wait_until_healthy(timeout_s=SETTLE_S)

    def _asker(self) -> Callable[[], Awaitable[Snapshot]]:
        return functools.partial(ask_snapshot, find_access(self._name))

    def _injector(self) -> ScriptInjector:
        lab = LabClient(self._name)
        return ScriptInjector(lab, LabInjector(lab), _SCRIPTS)

    def _start(self) -> None:
        self._labs += 1
        self._name = f"score-{os.getpid()}-{self._labs}"
        start = Start(self._name, self._topology, self._interval_ns, end_with_pid=os.getpid())
        try:
            start_lab(start, notify=lambda text: print(text, file=sys.stderr, flush=True))
        except BaseException:
            self._end()
            raise

    def _start_again(self) -> None:
        self._end()
        self._start()

    def _end(self) -> None:
        take_down(self._name)
