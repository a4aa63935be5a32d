"""The collector serves, survives what agents send, and a kill loses and doubles nothing.

Rule: it runs in this process, except where it is killed or signalled.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from msgspec import structs

from netprobe.bus.agent import AgentBus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin
from netprobe.bus.operator import (
    Access,
    ask_health,
    ask_moment,
    ask_snapshot,
    report_watched_intent,
)
from netprobe.bus.subjects import windows_subject
from netprobe.errors import BusAwayError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.component import pod_out
from netprobe.model.finding import Cause, Finding
from netprobe.model.intent import CellVerdict, Deviation
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeId
from netprobe.model.outcome import OutcomeKind, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.store.history import History
from netprobe.wire.intent_watch import IntentReport
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Reply
from netprobe.wire.reports import encode_report
from tests.unit.collector.process import serve, settings_in
from tests.unit.nats_server import PATIENCE_S, needs_nats_server, until

pytestmark = [needs_nats_server, pytest.mark.timeout(300)]

INVENTORY = """\
clusters:
  - name: prod
    nodes:
      - {name: gw, role: gateway, host_addresses: [192.0.2.1], pod_addresses: [198.51.100.1]}
      - {name: w1, host_addresses: [192.0.2.2], pod_addresses: [198.51.100.2]}
"""
AGENTS = [AgentId.parse(f"prod/{node}/{plane}") for node in ("gw", "w1") for plane in ("pod", "host")]
LENGTH_NS = 200_000_000
PROGRAM = (sys.executable, "-m", "tests.unit.collector.process")


@dataclass(slots=True)
class House:
    """A directory with an inventory and keys, and the collectors that were started in it."""

    directory: Path
    seeds: dict[AgentId, str]
    operator: str
    url: str = ""
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    _serving: asyncio.Future[None] | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def access(self) -> Access:
        return Access(self.url, self.operator)

    @property
    def ready_file(self) -> Path:
        return self.directory / "data" / "ready"

    @property
    def listen(self) -> str:
        """The port of the last collector, or any."""
        return self.url.removeprefix("nats://") or "127.0.0.1:0"

    async def start(self, *bus: str, epoch_intervals: int = 0) -> None:
        """Start a collector in this process; return when it serves."""
        self._stop.clear()
        self.ready_file.unlink(missing_ok=True)
        serving = self._serving = asyncio.ensure_future(
            serve(
                settings_in(self.directory, self.listen, epoch_intervals=epoch_intervals, bus=bus),
                stop=self._stop,
            )
        )
        await until(lambda: self.ready_file.exists() or serving.done())
        if serving.done():
            serving.result()
        self.url = json.loads(self.ready_file.read_text())["url"]

    async def end(self) -> None:
        """End it in the intended way."""
        self._stop.set()
        if self._serving is not None:
            await asyncio.wait_for(self._serving, PATIENCE_S)
        self._serving = None

    async def start_again(self) -> None:
        """End the collector and start another with the same directory."""
        await self.end()
        await self.start()

    async def start_process(self) -> asyncio.subprocess.Process:
        """Start a collector that can be killed; return when it serves."""
        self.ready_file.unlink(missing_ok=True)
        with (self.directory / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *PROGRAM, str(self.directory), self.listen, stderr=log
            )
        self.processes.append(process)
        await until(lambda: self.ready_file.exists() or process.returncode is not None)
        assert process.returncode is None, (self.directory / "log").read_text()
        self.url = json.loads(self.ready_file.read_text())["url"]
        return process

    async def counters(self) -> Counters:
        """What the collector says it has counted."""
        told = await ask_health(self.access, timeout_s=PATIENCE_S)
        return Counters(**{name: told[name] for name in Counters.__slots__})  # type: ignore[arg-type]

    def kept(self) -> tuple[Counters, int, list[Report]]:
        """Content of the store: the counters, the windows, the reports."""
        history = History.at(self.directory / "data" / "history.db")
        try:
            return history.counters(), history.count_windows(), list(history.reports_since(0))
        finally:
            history.close()


@asynccontextmanager
async def house(directory: Path) -> AsyncIterator[House]:
    pairs = {agent: new_user() for agent in AGENTS}
    operator, operator_public = new_user()
    (directory / "inventory.yaml").write_text(INVENTORY)
    keys = {
        "agents": {str(agent): public for agent, (_, public) in pairs.items()},
        "operators": [operator_public],
    }
    (directory / "keys.json").write_text(json.dumps(keys))
    here = House(directory, {agent: seed for agent, (seed, _) in pairs.items()}, operator)
    try:
        yield here
    finally:
        for process in here.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await here.end()


async def join(stack: AsyncExitStack, here: House, agent: AgentId) -> tuple[AgentBus, Plan]:
    """Connect *agent* and wait for its plan."""
    bus = await stack.enter_async_context(
        await AgentBus.connect(here.url, agent=agent, login=SeedLogin(here.seeds[agent]))
    )
    async with asyncio.timeout(PATIENCE_S):
        return bus, await anext(bus.plans())


def measure(plan: Plan, sequence: int) -> Report:
    """A report as an agent with *plan* would make it, of a moment not long ago."""
    start_ns = (time.time_ns() // LENGTH_NS - 5) * LENGTH_NS
    windows = tuple(
        Window(
            check.id, start_ns, LENGTH_NS, 1, 1, ((OutcomeKind.REACHED, 1),), rtt=Histogram.of([sequence + 1])
        )
        for check in plan.checks
    )
    health = AgentHealth(plan.agent, start_ns, plan.epoch)
    return Report(plan.agent, plan.epoch, sequence, "b00t", start_ns, LENGTH_NS, windows, (), health)


async def publish_patiently(bus: AgentBus, report: Report) -> None:
    """As an agent does: keep what could not be sent, try again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await bus.publish(report)
            except BusAwayError:
                await asyncio.sleep(0.05)


async def ask_until_analysed(here: House) -> Snapshot:
    """The first snapshot whose analysis was shown a window."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(SystemRefusedError):  # nothing is concluded yet
                snapshot = await ask_snapshot(here.access, timeout_s=PATIENCE_S)
                if str(snapshot.findings[0].components[0].source) != "0":
                    return snapshot
            await asyncio.sleep(0.05)


async def ask_patiently(here: House) -> Snapshot:
    """The first snapshot of a collector that has just begun."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(SystemRefusedError):  # nothing is concluded yet
                return await ask_snapshot(here.access, timeout_s=PATIENCE_S)
            await asyncio.sleep(0.05)


async def until_stored(here: House, reports: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await here.counters()).reports_stored < reports:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def answer_but_pods_of_w1(question: CheckQuestion) -> Reply:
    """As if nothing left the pods of one node; everything else is answered."""
    check = question.check
    is_lost = "prod/w1/pod" in {str(check.source), check.target.name}
    return CheckAnswer(check.source, check.id, (TimedOut(1) if is_lost else Reached(1),) * check.count)


async def test_what_a_finding_cannot_tell_apart_is_asked_on_demand(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        joined = [await join(stack, here, agent) for agent in AGENTS]
        for bus, _ in joined:
            bus.questions(answer_but_pods_of_w1)
        await publish_patiently(joined[0][0], measure(joined[0][1], 1))
        pod = pod_out(NodeId.parse("prod/w1"))
        async with asyncio.timeout(PATIENCE_S):
            while (finding := (await ask_until_analysed(here)).findings[1]).indistinguishable:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert finding.components == (pod,)


async def test_reports_are_stored_analysed_and_shown(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        process = await here.start_process()
        bus, plan = await join(stack, here, AGENTS[0])
        await publish_patiently(bus, measure(plan, 1))
        await until_stored(here, 1)
        snapshot = await ask_until_analysed(here)
        assert str(snapshot.findings[0].components[0].source) == str(len(plan.checks))
        assert snapshot.counters.windows_stored == len(plan.checks)
        assert {check.id for check in plan.checks} <= {check.id for check in snapshot.checks}
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        assert not here.ready_file.exists()


async def test_a_moment_that_has_passed_is_analysed_again_from_the_history(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        bus, plan = await join(stack, here, AGENTS[0])
        report, at_ns = measure(plan, 1), time.time_ns()
        await publish_patiently(bus, report)
        await until_stored(here, 1)
        await here.start_again()
        then = await ask_moment(here.access, at_ns)
        assert then.taken_ns == at_ns
        assert str(then.findings[0].components[0].source) == str(len(plan.checks))
        assert {check.id for check in plan.checks} <= {check.id for check in then.checks}
        with pytest.raises(SystemRefusedError, match="no reports are stored for that time"):
            await ask_moment(here.access, report.start_ns)
        with pytest.raises(SystemRefusedError, match="the requested time is in the future"):
            await ask_moment(here.access, at_ns + 3_600_000_000_000)


async def test_what_a_watched_intent_does_not_want_is_a_finding_and_then_an_incident(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.start()
        leak = Deviation(
            CellVerdict.LEAK,
            ClusterName("prod"),
            "dev",
            "no metrics",
            3,
            Prose("prod/w1/pod → dev/w1/pod tcp/9772"),
        )
        began_ns = time.time_ns()
        await report_watched_intent(
            here.access, IntentReport("one", "intent.yaml", 3_600_000_000_000, (leak,))
        )
        (found,) = [one for one in (await ask_patiently(here)).findings if one.cause is Cause.INTENT_LEAK]
        assert found.first_seen_ns >= began_ns
        await report_watched_intent(here.access, IntentReport("one", "intent.yaml", 3_600_000_000_000))
        snapshot = await ask_patiently(here)
        assert [one.id for one in snapshot.past_findings] == [found.id]
        assert found.id not in {one.id for one in snapshot.findings}
        await here.start_again()
        assert [one.id for one in (await ask_patiently(here)).past_findings] == [found.id]


async def test_a_telling_that_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.start()
        odd = Deviation(CellVerdict.UNPROVEN, ClusterName("prod"), "dev", "r", 1, Prose(""))
        with pytest.raises(SystemRefusedError, match="watched intent: deviations"):
            await report_watched_intent(here.access, IntentReport("one", "intent.yaml", 1, (odd,)))
        assert [one.cause for one in (await ask_patiently(here)).findings] == [Cause.UNKNOWN]


async def test_what_breaks_the_rules_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        bus, plan = await join(stack, here, AGENTS[0])
        raw = await open_connection(here.url, login=SeedLogin(here.seeds[AGENTS[0]]), name="raw")
        stack.push_async_callback(raw.close)
        good = measure(plan, 1)
        for data in (b"", b"\x01 no report", encode_report(replace(good, agent=AGENTS[1]))):
            await raw.request(windows_subject(AGENTS[0]), data, timeout_s=PATIENCE_S)
        unasked = structs.replace(good.windows[0], check=CheckId(1))
        stray = ReceivedCount(CheckId(2), good.start_ns, 1)
        await publish_patiently(bus, replace(good, windows=(unasked, *good.windows), heard=(stray,)))
        await until_stored(here, 1)
        assert await here.counters() == Counters(
            reports_stored=1, windows_stored=len(plan.checks), messages_malformed=3, windows_rejected=1
        )
        assert here.kept()[2] == [good]


@pytest.mark.timeout(900)  # a collector starts four times, each as slowly as the machine is busy
async def test_a_kill_loses_no_window_and_counts_none_twice(tmp_path: Path) -> None:
    reports_each, kills = 60, 3

    async def work(bus: AgentBus, plan: Plan) -> int:
        for sequence in range(reports_each):
            await publish_patiently(bus, measure(plan, sequence))
            await asyncio.sleep(0.01)
        return len(plan.checks) * reports_each

    async with house(tmp_path) as here, AsyncExitStack() as stack:
        process = await here.start_process()
        joined = [await join(stack, here, agent) for agent in AGENTS]
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(work(bus, plan)) for bus, plan in joined]
            for kill in range(1, kills + 1):
                await until_stored(here, kill * len(AGENTS) * reports_each // (kills + 2))
                process.kill()
                await process.wait()
                process = await here.start_process()
        sent = sum(task.result() for task in working)
        await until_stored(here, len(AGENTS) * reports_each)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), PATIENCE_S)
        counters, windows, reports = here.kept()
        assert (counters.windows_stored, windows) == (sent, sent)
        assert (counters.messages_malformed, counters.windows_rejected) == (0, 0)
        names = sorted((str(report.agent), report.sequence) for report in reports)
        assert names == sorted((str(agent), sequence) for agent in AGENTS for sequence in range(reports_each))


async def test_a_restart_keeps_the_epoch_the_cookie_key_and_the_counters(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        bus, plan = await join(stack, here, AGENTS[0])
        await publish_patiently(bus, measure(plan, 1))
        await until_stored(here, 1)
        await here.start_again()
        await publish_patiently(bus, measure(plan, 1))
        await publish_patiently(bus, measure(plan, 2))
        await until_stored(here, 2)
        assert (await here.counters()).windows_stored == 2 * len(plan.checks)
        again = await stack.enter_async_context(
            await AgentBus.connect(here.url, agent=AGENTS[0], login=SeedLogin(here.seeds[AGENTS[0]]))
        )
        assert await asyncio.wait_for(anext(again.plans()), PATIENCE_S) == plan


async def test_agents_are_told_where_the_bus_itself_is(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        door = here.url.removeprefix("nats://")
        await here.end()
        await here.start(door)
        bus, plan = await join(stack, here, AGENTS[0])
        assert plan.bus == (door,)
        await until(lambda: bus.is_direct)


async def test_a_restart_remembers_what_was_broken_before(tmp_path: Path) -> None:
    ended = Finding(
        "x", (pod_out(NodeId.parse("prod/w1")),), Cause.NODE_DOWN, 1.0, Prose("was broken"), ended_ns=9
    )
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        await here.end()
        history = History.at(tmp_path / "data" / "history.db")
        history.keep_incidents([ended])
        history.close()
        await here.start()
        bus, plan = await join(stack, here, AGENTS[0])
        await publish_patiently(bus, measure(plan, 1))
        assert ended in (await ask_until_analysed(here)).past_findings


async def test_two_collectors_in_one_directory_are_one_too_many(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.start()
        second = await asyncio.create_subprocess_exec(
            *PROGRAM, str(here.directory), "127.0.0.1:0", stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, told = await asyncio.wait_for(second.communicate(), PATIENCE_S)
        assert second.returncode == 1
        assert told.decode() == f"netprobe: {here.directory}/data: another collector uses it\n"
        assert here.ready_file.exists()


async def test_an_agent_added_to_the_keys_file_may_speak_and_one_taken_out_may_not(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        path = tmp_path / "keys.json"
        seed, public = new_user()
        keys = json.loads(path.read_text())
        renewed = str(AGENTS[0])
        keys["agents"][renewed] = public
        old = SeedLogin(here.seeds[AGENTS[0]])
        await (await open_connection(here.url, login=old, name="old")).close()
        path.write_text(json.dumps(keys))
        here.seeds[AGENTS[0]] = seed
        bus, plan = await join(stack, here, AGENTS[0])
        await publish_patiently(bus, measure(plan, 1))
        await until_stored(here, 1)
        with pytest.raises(SystemRefusedError):
            await open_connection(here.url, login=old, name="old")


async def test_a_keys_file_with_a_mistake_is_refused_and_the_old_keys_stand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        (tmp_path / "keys.json").write_text("agents: none")
        await until(lambda: "the new keys are refused" in caplog.text)
        await join(stack, here, AGENTS[1])
