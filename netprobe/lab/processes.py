"""The processes of a lab, and the manager that starts, signals and stops them."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.errors import InputError, SystemRefusedError
from netprobe.lab.namespaces import Namespaces
from netprobe.lab.plan import HostRole, LabPlan, agent_host
from netprobe.lab.protocol import ProcessStatus
from netprobe.lab.state_folder import StateFolder
from netprobe.model.names import AgentId, Plane

logger = logging.getLogger(__name__)

BUS_PORT = 4222
_END_WAIT_S = 3.0
COLLECTOR = "collector"


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: its name in the lab, its host, its command."""

    name: str
    host: str
    argv: tuple[str, ...]


def dns_name(cluster: str) -> str:
    """The name of a cluster's DNS server process (and of its host)."""
    return f"{cluster}/dns"


def plan_agents(plan: LabPlan) -> tuple[AgentId, ...]:
    """Every agent of the lab: one per node and plane."""
    return tuple(
        AgentId(node.cluster, node.node, plane)
        for cluster in plan.clusters
        for node in cluster.nodes
        for plane in Plane
    )


def dns_processes(plan: LabPlan, state: StateFolder) -> tuple[ProcessSpec, ...]:
    """The DNS servers."""
    return tuple(
        ProcessSpec(
            dns_name(host.cluster),
            host.name,
            (
                sys.executable, "-m", "netprobe.lab.dns_server",
                *(part for each in host.addresses for part in ("--listen", each.text.partition("/")[0])),
                "--zone", str(state.zone(host.cluster)), "--denied", str(state.denied_zones(host.cluster)),
            ),
        )
        for host in plan.hosts
        if host.role is HostRole.DNS
    )  # fmt: skip


def agent_processes(plan: LabPlan, state: StateFolder) -> tuple[ProcessSpec, ...]:
    """The agents."""
    bus = f"tls://{plan.hub_addresses[0]}:{BUS_PORT}"
    main = "from netprobe_agent.main import main; main()"
    return tuple(
        ProcessSpec(
            str(agent),
            agent_host(agent),
            (
                sys.executable, "-c", main, "serve", "--agent", str(agent), "--bus", bus,
                "--ca", str(state.bus_ca), "--seed", str(state.agent_seed(str(agent))),
                "--spool", str(state.spool(str(agent))),
            ),
        )
        for agent in plan_agents(plan)
    )  # fmt: skip


def collector_process(plan: LabPlan, state: StateFolder, *, interval_ns: int) -> ProcessSpec:
    """The collector, which starts the bus."""
    main = "from netprobe.cli.main import main; main()"
    return ProcessSpec(
        COLLECTOR,
        plan.hub,
        (
            sys.executable, "-c", main, "collector", "--inventory", str(state.inventory),
            "--data", str(state.data), "--listen", f"{plan.hub_addresses[0]}:{BUS_PORT}",
            "--tls-certificate", str(state.bus_certificate), "--tls-key", str(state.bus_key),
            "--keys", str(state.keys), "--interval", f"{interval_ns / 1e9:g}",
        ),
    )  # fmt: skip


def is_collector_built() -> bool:
    """Whether the collector is installed."""
    return importlib.util.find_spec("netprobe.cli.commands.collector") is not None


def check_programs() -> None:
    """Raise an error if a required program is missing."""
    for program, package in (("nft", "nftables"), ("nsenter", "util-linux")):
        if shutil.which(program) is None:
            raise SystemRefusedError(f"{program} is not installed (Debian package {package})")


class Processes:
    """Processes that the supervisor started, by name."""

    def __init__(self, plan: LabPlan, namespaces: Namespaces, state: StateFolder) -> None:
        self._plan = plan
        self._namespaces = namespaces
        self._state = state
        self._specs: dict[str, ProcessSpec] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped: set[str] = set()

    def start(self, spec: ProcessSpec) -> None:
        """Start a process with its output in its log."""
        logger.debug("starting %s on %s", spec.name, spec.host)
        self._specs[spec.name] = spec
        self._stopped.discard(spec.name)
        environment = {**os.environ, "LOG_LEVEL": "error", "PYTHONUNBUFFERED": "1"}
        with self._state.log(spec.name).open("ab") as log:
            self._running[spec.name] = self._namespaces.popen(
                self._plan.host(spec.host),
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def restart(self, name: str) -> None:
        """Restart a stopped process."""
        self.end((name,))
        self.start(self._specs[name])

    def find(self, name: str) -> subprocess.Popen[bytes]:
        """The process of that name."""
        if name not in self._running:
            raise InputError(f"unknown process {name!r}")
        return self._running[name]

    def is_running(self, name: str) -> bool:
        """Whether a process of that name is running."""
        return name in self._running and self._running[name].poll() is None

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a running process."""
        process = self.find(name)
        if process.poll() is not None:
            raise SystemRefusedError(f"{name} is not running (exit code {process.returncode})")
        process.send_signal(number)

    def kill(self, name: str) -> None:
        """Kill a process on purpose."""
        self.signal(name, signal.SIGKILL)
        self._stopped.add(name)
        self.find(name).wait(_END_WAIT_S)

    def end(self, names: Sequence[str]) -> None:
        """Ask processes to exit; those that have not after three seconds are killed."""
        running = [self._running[name] for name in names if self.is_running(name)]
        self._stopped.update(names)
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + _END_WAIT_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end_all(self) -> None:
        """Stop every process."""
        self.end(tuple(self._running))

    def statuses(self) -> list[ProcessStatus]:
        """Status of every process."""
        return [self._status(name) for name in self._running]

    def _status(self, name: str) -> ProcessStatus:
        process = self._running[name]
        code = process.poll()
        state = "running" if code is None else "stopped" if name in self._stopped else "exited"
        return ProcessStatus(name, self._specs[name].host, state, process.pid, code)
