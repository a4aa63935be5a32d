"""The agent as a process, on a real bus that comes and goes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.keys import new_user, write_seed
from netprobe.bus.login import SeedLogin
from netprobe.bus.operator import Access, ask_check
from netprobe.bus.server import Listen, find_program, run_server
from netprobe.errors import SystemRefusedError
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind, check_id
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind, Reached
from netprobe.model.prose import Prose
from netprobe.model.window import Report
from netprobe.wire.messages import CheckAnswer, Declined, Refusal
from netprobe.wire.reports import decode_report
from netprobe_agent.spool import Spool
from tests.patience import PATIENCE_S

AGENT = AgentId.parse("prod/w1/pod")
INTERVAL_NS = 400_000_000
KEY = b"a key for one test".ljust(32)
PROGRAM = (sys.executable, "-c", "from netprobe_agent.main import main; main()")


def _why_not() -> str:
    try:
        find_program()
    except SystemRefusedError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "there is a bus")]


def make_check(address: str = "127.0.0.1") -> Check:
    target = Target(TargetKind.OUTSIDE, address, "somebody")
    probe = Probe("icmp", timeout_ns=200_000_000)
    return Check(check_id(AGENT, target, probe), AGENT, target, probe, Layer.OUTSIDE, 2)


@dataclass(slots=True)
class Bus:
    """Keys and a place; the server itself comes and goes."""

    folder: Path
    agent: tuple[str, str] = field(default_factory=new_user)
    operator: tuple[str, str] = field(default_factory=new_user)
    collector: tuple[str, str] = field(default_factory=new_user)
    port: int = 0
    reports: list[Report] = field(default_factory=list)
    doors: tuple[str, ...] = ()
    """Where the plan says that the bus itself is."""

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        entries = accounts({AGENT: self.agent[1]}, (self.operator[1],), self.collector[1])
        listen = Listen("127.0.0.1", self.port)
        async with run_server(listen, directory=self.folder / "bus", accounts=entries) as server:
            self.port = int(server.url.rpartition(":")[2])
            yield

    async def collect(self, enough: Callable[[], bool]) -> None:
        """Hand out the plan and take reports until there are enough."""
        async with open_collector_bus(self.url, login=SeedLogin(self.collector[0])) as bus:
            await bus.put_plans([Plan(AGENT, 1, (make_check(),), INTERVAL_NS, KEY, bus=self.doors)])
            async with asyncio.timeout(PATIENCE_S):
                while not enough():
                    deliveries = await bus.take()
                    self.reports += [decode_report(delivery.data) for delivery in deliveries]
                    await bus.acknowledge(deliveries)

    @asynccontextmanager
    async def agent_running(self, service: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        """The agent, which is told the bus by its URL or by that of a *service*."""
        seed = self.folder / "agent.seed"
        write_seed(seed, self.agent[0])
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "serve", "--agent", str(AGENT), "--bus", service or self.url, "--seed",
            str(seed), "--spool", str(self.folder / "spool"), "--port", "0",
        )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def sequences(self, boot: str) -> list[int]:
        return [report.sequence for report in self.reports if report.boot == boot]


def spooled(folder: Path) -> int:
    return len(list((folder / "spool").glob("*.report")))


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - files and processes, not our own events
            await asyncio.sleep(0.05)


async def test_a_restarted_agent_comes_to_the_bus_though_its_service_is_broken(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    async with bus.serving():
        bus.doors = (f"127.0.0.1:{bus.port}",)
        async with bus.agent_running():
            await bus.collect(lambda: len(bus.reports) >= 1)
        boot = bus.reports[0].boot
        async with bus.agent_running("nats://127.0.0.1:1"):
            await bus.collect(lambda: any(report.boot != boot for report in bus.reports))


async def test_no_window_is_lost_while_the_bus_is_away_and_the_agent_is_killed(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    async with AsyncExitStack() as server:
        await server.enter_async_context(bus.serving())
        async with bus.agent_running() as first:
            await bus.collect(lambda: len(bus.reports) >= 2)
            assert spooled(tmp_path) == 0, "a healthy bus needs no disk"
            boot = bus.reports[0].boot
            await server.aclose()
            await wait_for(lambda: spooled(tmp_path) >= 3)
            first.kill()
            await first.wait()
            on_disk = spooled(tmp_path)
    async with bus.serving(), bus.agent_running() as second:
        await bus.collect(lambda: any(report.boot != boot for report in bus.reports))
        second.send_signal(signal.SIGTERM)
        assert await second.wait() == 0
    told = bus.sequences(boot)
    assert told == list(range(1, len(told) + 1)), "in order, each once, none missing"
    assert len(told) >= 2 + on_disk
    kept = Spool(tmp_path / "spool").peek()  # one that was on its way when the second agent ended
    assert kept is None or kept.boot != boot
    outcomes = {kind for report in bus.reports for window in report.windows for kind, _ in window.outcomes}
    assert outcomes <= {OutcomeKind.REACHED, OutcomeKind.NOT_MEASURED}


async def test_one_question_is_answered_and_a_foreign_target_is_declined(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    async with bus.serving(), bus.agent_running():
        await bus.collect(lambda: len(bus.reports) >= 1)
        access = Access(bus.url, bus.operator[0])
        answer = await ask_check(access, make_check())
        declined = await ask_check(access, make_check("127.0.0.77"))
    assert isinstance(answer, CheckAnswer)
    assert [type(outcome) for outcome in answer.outcomes] == [Reached, Reached]
    why = Prose("127.0.0.77 is neither in the plan nor on the allow-list")
    assert declined == Declined(AGENT, why, Refusal.NOT_ALLOWED)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("serve", "--agent", "w1"), "--agent: 'w1' is not <cluster>/<node>/pod", id="agent"),
        pytest.param(("serve", "--seed", "/nowhere"), "/nowhere: cannot be read: ", id="seed"),
        pytest.param(("serve", "--allow", "10.0.0.1/8"), "--allow: 10.0.0.1/8 has host bits set", id="allow"),
        pytest.param(("run", "--plan", "/nowhere"), "/nowhere: cannot be read: ", id="plan"),
        pytest.param(("run", "--output", "/nowhere/x"), "cannot be ", id="output"),
    ],
)
async def test_bad_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    seed = tmp_path / "seed"
    write_seed(seed, new_user()[0])
    command, *rest = arguments
    defaults = {
        "serve": {
            "--agent": str(AGENT), "--bus": "nats://127.0.0.1:1",
            "--seed": str(seed), "--spool": str(tmp_path),
        },
        "run": {"--plan": "/nowhere"},
    }[command]  # fmt: skip
    given = defaults | dict(zip(rest[::2], rest[1::2], strict=True))
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, command, *(word for pair in given.items() for word in pair),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, stderr = await process.communicate()
    assert process.returncode == 2
    lines = stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("netprobe-agent: ")
    assert said in lines[0]
