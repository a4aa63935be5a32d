"""Agents without a bus, inside namespaces."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import msgspec

from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind, check_id
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import Measured, Window
from netprobe.wire.measured_json import decode_measured
from netprobe.wire.pair_keys import derive_asker_key, derive_responder_key
from netprobe.wire.stamp import short_name
from tests.lab.namespaces import Host

KEY = b"a key for one test".ljust(32)
MASTER = b"the secret of one test".ljust(32)
MS = 1_000_000
INTERVAL_NS = 500 * MS
TIMEOUT_NS = 250 * MS
PORT = 9771
_TRIES = 4
_BUSY = ("the agent stood still", "sent too late in its interval")
"""What an agent tells of itself where it did not get the processor."""
_PROGRAM = (sys.executable, "-c", "from netprobe_agent.main import main; main()", "run")


def make_check(
    source: AgentId,
    address: str,
    probe: Probe,
    *,
    name: str = "",
    kind: TargetKind = TargetKind.AGENT,
    count: int = 3,
) -> Check:
    """A question of *source*."""
    target = Target(kind, address, name)
    return Check(check_id(source, target, probe), source, target, probe, Layer.POD, count)


def make_probe(kind: str, *, port: int = 0, size: int = 0, name: str = "", **options: str) -> Probe:
    """A probe with this test's patience."""
    if not port and kind in {"udp", "tcp", "http"}:
        port = PORT
    return Probe(kind, port, size, name, TIMEOUT_NS, tuple(sorted(options.items())))


Acquainted = Mapping[AgentId, tuple[str, ...]]
"""Agents that may ask each other, and their addresses."""
STRANGERS: Acquainted = MappingProxyType({})


def write_plan(
    path: Path,
    agent: AgentId,
    checks: Iterable[Check] = (),
    *,
    key: bytes = KEY,
    acquainted: Acquainted = STRANGERS,
    services: Sequence[str] = (),
) -> Path:
    """Write a plan for ``netprobe-agent run``.

    It has the key of a fleet of the previous build, and keys of its own for those who are *acquainted*.
    """
    plan = Plan(agent, 1, tuple(checks), INTERVAL_NS, key)
    if acquainted:
        names = (*map(str, acquainted), *services)
        keys = {name: derive_responder_key(MASTER, name, key_epoch=1) for name in names}
        asker = short_name(str(agent))
        plan = replace(
            plan,
            peers=tuple(acquainted.items()),
            own_keys=tuple((name, (keys[name],)) for name in (str(agent), *services)),
            target_keys=tuple((name, derive_asker_key(keys[name], asker)) for name in names),
        )
    path.write_bytes(msgspec.json.encode(plan))
    return path


@dataclass(slots=True)
class Run:
    """What an agent printed."""

    measured: tuple[Measured, ...]

    def windows(self, check: Check) -> list[Window]:
        """The check's windows in order of time."""
        return [window for one in self.measured for window in one.windows if window.check == check.id]

    def window(self, check: Check) -> Window:
        """The check's last window."""
        return self.windows(check)[-1]

    def outcomes(self, check: Check) -> dict[OutcomeKind, int]:
        """The last window's outcomes."""
        return dict(self.window(check).outcomes)


def ask(
    host: Host,
    agent: AgentId,
    checks: Iterable[Check],
    *,
    folder: Path,
    intervals: int = 2,
    acquainted: Acquainted = STRANGERS,
    services: Sequence[str] = (),
) -> Run:
    """Let *agent* ask its checks for a few intervals and return what it measured.

    On a machine so busy that the agent says of itself that it did not measure, it is asked again.
    """
    plan = write_plan(folder / f"{host.name}.json", agent, checks, acquainted=acquainted, services=services)
    for _ in range(_TRIES - 1):
        run = ask_plan(host, plan, intervals=intervals)
        if not any(_was_busy(window) for one in run.measured for window in one.windows):
            return run
    return ask_plan(host, plan, intervals=intervals)


def _was_busy(window: Window) -> bool:
    return window.count(OutcomeKind.NOT_MEASURED) > 0 and any(words in str(window.detail) for words in _BUSY)


def ask_plan(host: Host, plan: Path, *, intervals: int = 2, within: tuple[str, ...] = ()) -> Run:
    """Run a plan file; *within* is a command that the agent runs under."""
    said = host.run(*within, *_PROGRAM, "--plan", str(plan), "--intervals", str(intervals))
    return Run(tuple(decode_measured(line) for line in said.splitlines()))


@dataclass(slots=True)
class Running:
    """An agent in the background."""

    process: subprocess.Popen[str]
    output: Path

    @property
    def pid(self) -> int:
        """To stop and to continue it."""
        return self.process.pid

    def heard(self, check: Check, *, since_ns: int = 0) -> int:
        """How many requests of *check* it has told of so far."""
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        told = [decode_measured(line) for line in lines if line.endswith("}")]
        rows = [row for measured in told for row in measured.heard]
        return sum(row.received for row in rows if row.check == check.id and row.start_ns >= since_ns)

    def read(self) -> Run:
        """What it measured so far."""
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        return Run(tuple(decode_measured(line) for line in lines if line.endswith("}")))


@contextmanager
def running(
    host: Host,
    agent: AgentId,
    checks: Iterable[Check] = (),
    *,
    folder: Path,
    key: bytes = KEY,
    acquainted: Acquainted = STRANGERS,
    services: Sequence[str] = (),
) -> Iterator[Running]:
    """An agent that runs for the time of the block, and answers when the block begins."""
    path = folder / f"{host.name}-running.json"
    plan = write_plan(path, agent, checks, key=key, acquainted=acquainted, services=services)
    output = folder / f"{host.name}-running.jsonl"
    process = host.popen(*_PROGRAM, "--plan", str(plan), "--output", str(output))
    try:
        until = time.monotonic() + 60
        while f":{PORT} " not in host.run("ss", "-Hltn"):
            assert time.monotonic() < until, f"{host.name}: the agent does not listen"
            time.sleep(0.05)
        yield Running(process, output)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
