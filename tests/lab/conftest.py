"""Labs and networks that tests share: brought up once, asked from inside."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netprobe.bus.operator import ask_snapshot
from netprobe.bus.server import find_program
from netprobe.errors import SystemRefusedError
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.fault_drill import FaultDrill, LabInjector
from netprobe.lab.plan import HostRole, LabPlan
from netprobe.lab.planner import plan_lab
from netprobe.lab.topology import load_topology
from tests.lab.findings import state_of
from tests.lab.intents import OPEN, verify
from tests.lab.linear_network import Line, line
from tests.patience import wait_until

HERE = Path(__file__).parent
PROBE_CLIENT = str(HERE / "probe_client.py")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark ours. Tests of one file share labs and stay on one worker; so do those of one marked group."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.lab)
        group = "quiet" if item.get_closest_marker("quiet") else item.path.stem
        if group.startswith("test_sites"):  # they install and remove the same files and units
            group = "sites"
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """pytest-xdist adds ``@group`` to the ids that it groups by; a run where it does not is refused."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    astray = [item.nodeid for item in session.items if HERE in item.path.parents and "@" not in item.nodeid]
    if astray:
        raise pytest.UsageError(f"pytest-xdist does not group {astray[0]}: look at the versions of both")


def why_no_lab() -> str:
    """Why no lab can be built here; empty where one can."""
    for program in ("nft", "nsenter", "ping"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    flags = ["--net", "--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net", "--mount"]
    tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"namespaces are refused here: {tried.stderr.strip()}"


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    reason = why_no_lab()
    if reason:
        pytest.skip(reason)


class Lab:
    """A running lab, asked from inside its hosts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = LabClient(name)
        self.plan: LabPlan = plan_lab(load_topology(None))
        self._echoes: list[subprocess.Popen[str]] = []
        self._at_first: dict[str, list[str]] | None = None

    def ask_all(self, questions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Ask from inside several hosts at once."""
        with ThreadPoolExecutor(len(questions)) as pool:
            answers = pool.map(lambda host: self.ask(host, *questions[host]), questions)
            return dict(zip(questions, answers, strict=True))

    def changes(self) -> list[str]:
        """What is configured otherwise than at first, line by line."""
        now = self.settings()
        if self._at_first is None:
            self._at_first = now
        return [
            f"{place} {mark} {line}"
            for place in self._at_first | now
            for mark, one, other in (
                ("lost", self._at_first.get(place, []), now.get(place, [])),
                ("has", now.get(place, []), self._at_first.get(place, [])),
            )
            for line in one
            if line not in other
        ]

    def ask(self, host: str, *questions: str) -> list[str]:
        """Ask from inside *host*; one answer per question."""
        code, told = self.client.run(host, sys.executable, PROBE_CLIENT, "ask", *questions)
        assert code == 0, told
        return told.splitlines()

    def shell(self, host: str, script: str) -> str:
        code, told = self.client.run(host, "sh", "-c", script)
        assert code == 0, told
        return told

    def echo_everywhere(self) -> None:
        """Let every node and pod answer on the agents' port with its own name."""
        for host in self.plan.hosts:
            if host.role in (HostRole.NODE, HostRole.POD):
                command = [sys.executable, "-m", "netprobe", "lab", "exec", "--name", self.name, host.name]
                self._echoes.append(
                    subprocess.Popen(
                        [*command, "--", sys.executable, PROBE_CLIENT, "serve", host.name],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
        for echo in self._echoes:
            assert echo.stdout is not None
            assert echo.stdout.readline() == "ready\n"

    def close(self) -> None:
        take_down(self.name)
        for echo in self._echoes:
            echo.wait()
            assert echo.stdout is not None
            echo.stdout.close()

    def settings(self) -> dict[str, list[str]]:
        """Everything configured in every namespace, in an order of its own."""
        separator = "=== "
        parts = [
            "ip -o addr show scope global",
            "ip -br link show up | cut -d' ' -f1",
            "ip -4 route show table all",
            "ip -6 route show table all",
            "ip rule",
            "ip -6 rule",
            "nft -s list ruleset",
            "bridge fdb show dev overlay0 2>&1",
            "ip neigh show nud permanent",
        ]
        inner = "; ".join(parts)
        script = (
            f"for n in /run/netns/*; do echo '{separator}'$n; nsenter --net=$n sh -c '{inner}'; done; "
            f"echo '{separator}wg'; wg show all peers; wg show all allowed-ips; wg show all endpoints"
        )
        found: dict[str, list[str]] = {}
        for block in self.shell("ops", script).split(separator)[1:]:
            head, *lines = block.splitlines()
            kept = (line.rstrip() for line in lines if "expires" not in line and "cache" not in line)
            found[head] = sorted(line for line in kept if " ff00::/8" not in line)
        return found


def wait_for_answers(lab: Lab, host: str, questions: Sequence[str], wanted: Sequence[str]) -> None:
    """Ask from inside *host* until the answers are as wanted."""
    wait_until(f"{host}: {wanted}", lambda: lab.ask(host, *questions) == list(wanted))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab without agents, with an echo on every node and pod."""
    name = f"t-{os.getpid()}"
    try:
        start_lab(Start(name, with_agents=False), notify=print)
    except SystemRefusedError as error:
        take_down(name)
        pytest.fail(str(error))
    found = Lab(name)
    try:
        found.echo_everywhere()
        assert found.changes() == []
        yield found
    finally:
        found.close()


SETTLE_S = 60.0
"""How long a lab may take until every path is up and nothing is found."""


class FullLab(Lab):
    """A lab with agents and a collector, and what verify said when they had only just started."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.first_verdicts = verify(name, OPEN, snapshot=state_of(name))


def drill_in(name: str) -> FaultDrill:
    """Break and mend the lab *name*, and see what its collector finds."""
    ask = functools.partial(ask_snapshot, find_access(name))
    return FaultDrill(ask, LabInjector(LabClient(name)), Start(name).interval_ns)


@pytest.fixture(scope="session")
def full_lab() -> Iterator[FullLab]:
    """Fourteen agents and a collector, for all tests that are marked ``quiet``; as the last test left it."""
    try:
        find_program()
    except SystemRefusedError as error:
        pytest.skip(str(error))
    name = f"full-{os.getpid()}"
    try:
        start_lab(Start(name, end_with_pid=os.getpid()), notify=print)
        yield FullLab(name)
    finally:
        take_down(name)


@pytest.fixture(scope="module")
def healthy_lab(full_lab: FullLab) -> FullLab:
    """The same; the file begins when nothing is broken that the one before it broke."""
    asyncio.run(drill_in(full_lab.name).wait_until_healthy(timeout_s=SETTLE_S))
    return full_lab


@pytest.fixture(scope="session")
def linear_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """a – r – b; each test takes its rules away again."""
    with line(tmp_path_factory.mktemp("line")) as made:
        yield made
