"""Fault drill: injects faults one after another into a running lab and checks that each is named correctly.

Rule: everything is read over the bus, as an operator reads it, never from the collector's internals. The demo
shows a drill, and the lab's score is computed with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from netprobe.errors import BusAwayError, SystemRefusedError
from netprobe.lab.client import LabClient
from netprobe.model.component import Component
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState
from netprobe.simulate.scorer import FaultVerdict, Scorer

logger = logging.getLogger(__name__)
_POLL_S = 0.2
_SILENCE_S = 30.0
"""A busy machine answers late now and then; a collector that is silent for so long is away."""
GRACE_INTERVALS = 4
"""How much longer than its deadline a drill waits for a finding, so that a late one counts as late."""


class Injector(Protocol):
    """What a drill needs of a lab."""

    async def add(self, kind: str, parameters: dict[str, str]) -> tuple[str, GroundTruth]:
        """Add a fault; return its id and its ground truth."""
        ...

    async def remove(self, fault_id: str) -> None:
        """Remove it."""
        ...


@dataclass(frozen=True, slots=True)
class LabInjector:
    """Adds and removes faults of a running lab."""

    client: LabClient

    async def add(self, kind: str, parameters: dict[str, str]) -> tuple[str, GroundTruth]:
        """Add a fault; return its id and its ground truth."""
        fault = await asyncio.to_thread(self.client.add_fault, kind, parameters)
        return fault.id, GroundTruth(Cause(fault.cause), tuple(map(Component.parse, fault.components)))

    async def remove(self, fault_id: str) -> None:
        """Remove it."""
        await asyncio.to_thread(self.client.remove_fault, fault_id)


@dataclass(frozen=True, slots=True)
class DrillFault:
    """A fault to inject."""

    kind: str
    parameters: dict[str, str]
    patience: int = 0
    """Further intervals that the drill waits for a finding."""

    @property
    def name(self) -> str:
        """Kind and parameters, as on the command line."""
        return " ".join([self.kind, *(f"{key}={value}" for key, value in self.parameters.items())])


@dataclass(slots=True)
class FaultDrill:
    """One run: where snapshots come from, what injects faults, and the score."""

    ask: Callable[[], Awaitable[Snapshot]]
    injector: Injector
    interval_ns: int
    scorer: Scorer = field(default_factory=Scorer)
    moments: dict[str, Snapshot] = field(default_factory=dict)
    """The snapshot in which each fault was named (or the drill gave up), by the fault's name."""

    @property
    def deadline_ns(self) -> int:
        """Deadline for a finding: three intervals plus one window."""
        return 4 * self.interval_ns

    def is_in_time(self, verdict: FaultVerdict) -> bool:
        """Whether a fault was named correctly before the deadline."""
        return verdict.named_right and verdict.after_ns is not None and verdict.after_ns <= self.deadline_ns

    @property
    def is_flawless(self) -> bool:
        """Whether every fault was named correctly and in time, without false findings."""
        return all(map(self.is_in_time, self.scorer.verdicts)) and not self.scorer.false_findings

    async def wait_until_healthy(self, *, timeout_s: float) -> Snapshot:
        """Read until every agent is alive, every path is up and there is no finding.

        Raises :class:`SystemRefusedError` with what is still missing after *timeout_s*.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            snapshot = await self._read()
            missing = describe_unhealthy(snapshot)
            if not missing:
                return snapshot
            if time.monotonic() > deadline:
                raise SystemRefusedError(f"the lab is not healthy after {timeout_s:.0f} s: {missing}")
            await asyncio.sleep(_POLL_S)

    async def watch(self, *, seconds: float) -> Snapshot:
        """Keep reading for *seconds*; any finding in a healthy fleet is a false finding."""
        deadline = time.monotonic() + seconds
        snapshot = await self._read()
        while time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            snapshot = await self._read()
        return snapshot

    async def play(self, fault: DrillFault, *, linger_s: float = 1.0) -> FaultVerdict:
        """Inject *fault*, wait until it is named, read on for *linger_s*, remove it."""
        (verdict,) = await self.play_together((fault,), linger_s=linger_s)
        return verdict

    async def play_together(
        self, faults: Sequence[DrillFault], *, gap_s: float = 0.0, linger_s: float = 1.0
    ) -> tuple[FaultVerdict, ...]:
        """Inject *faults*, *gap_s* apart; wait until each is named, read on for *linger_s*, remove all."""
        in_place: list[str] = []
        try:
            for fault in faults:
                if in_place and gap_s:
                    await self.watch(seconds=gap_s)
                started_ns = time.monotonic_ns()
                fault_id, label = await self.injector.add(fault.kind, fault.parameters)
                in_place.append(fault_id)
                self.scorer.inject(fault.name, label, at_ns=started_ns)
            patience = GRACE_INTERVALS + max(fault.patience for fault in faults)
            await self._wait_until_named(
                give_up_ns=started_ns + self.deadline_ns + patience * self.interval_ns
            )
            moment = await self.watch(seconds=linger_s)
            self.moments |= {fault.name: moment for fault in faults}
        finally:
            for fault_id in in_place:
                await self.injector.remove(fault_id)
        return tuple(self.scorer.conclude(fault.name) for fault in faults)

    async def _wait_until_named(self, *, give_up_ns: int) -> None:
        while time.monotonic_ns() < give_up_ns:
            await asyncio.sleep(_POLL_S)
            snapshot = await self._ask()
            if self.scorer.read(snapshot.findings, at_ns=time.monotonic_ns()):
                return

    async def _ask(self) -> Snapshot:
        """Ask until there is an answer: a late one makes a finding late, and no other is invented."""
        deadline = time.monotonic() + _SILENCE_S
        while True:
            try:
                return await self.ask()
            except BusAwayError as error:
                if time.monotonic() > deadline:
                    raise
                logger.info("no snapshot yet: %s", error)
            await asyncio.sleep(_POLL_S)

    async def _read(self) -> Snapshot:
        snapshot = await self._ask()
        self.scorer.read(snapshot.findings, at_ns=time.monotonic_ns())
        return snapshot


def describe_unhealthy(snapshot: Snapshot) -> str:
    """Why *snapshot* is not healthy, in a few words; empty if it is."""
    if not snapshot.agents or not snapshot.paths:
        return "no reports yet"
    absent = [status.agent for status in snapshot.agents if status.state is not AgentState.ALIVE]
    if absent:
        return f"{len(absent)} of {len(snapshot.agents)} agents are not alive, first {absent[0]}"
    not_up = [path for path in snapshot.paths if path.state is not PathState.UP]
    if not_up or len(snapshot.paths) < len(snapshot.checks):
        missing = len(not_up) + max(0, len(snapshot.checks) - len(snapshot.paths))
        return f"{missing} of {len(snapshot.checks)} paths are not up"
    if snapshot.findings:
        return f"{len(snapshot.findings)} findings are open, first: {snapshot.findings[0].summary}"
    return ""
