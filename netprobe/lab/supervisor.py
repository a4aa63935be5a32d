"""The supervisor process of a lab: ``python -m netprobe.lab.supervisor``, started by ``netprobe lab up``.

Rule: first it leaves every namespace of the machine (user unless root, mount, PID, network, UTS, IPC), so
that only its state folder and one loopback socket made before are visible outside. Inside, a first process
only waits: when the supervisor exits for any reason, the first process exits, and the kernel removes every
process, namespace, interface and mount of the lab.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from netprobe import logs
from netprobe.errors import InputError, NetprobeError, SystemRefusedError
from netprobe.lab import kernel
from netprobe.lab.control_server import ControlServer
from netprobe.lab.planner import plan_lab
from netprobe.lab.processes import BUS_PORT
from netprobe.lab.relay import relay
from netprobe.lab.runtime import LabOptions, RunningLab
from netprobe.lab.state_folder import LabFacts, StateFolder
from netprobe.lab.topology import Topology, load_topology
from netprobe.tasks import run_until_first

logger = logging.getLogger(__name__)


def main() -> None:
    """Isolate this process, then run the lab until it is told to stop."""
    os.umask(0o077)
    chosen = _read_arguments()
    reporter = StatusReporter(chosen.tell)
    try:
        logs.set_up(logs.choose_settings(os.environ, verbosity=0, default="info"))
        topology = load_topology(chosen.topology)
        state = StateFolder(chosen.state)
        _isolate()
        _become_first_process(state, chosen)
        _cover_run(state)
        kernel.mount_proc()
        _wait_for_supervisor()
        _run_lab(topology, state, chosen, reporter)
    except NetprobeError as error:
        reporter.report({"error": str(error), "by_input": isinstance(error, InputError)})
        sys.exit(2)
    except BaseException as error:
        reporter.report(
            {"error": f"the supervisor failed: {error!r}; see {chosen.state}/logs", "by_input": False}
        )
        raise


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="netprobe.lab.supervisor")
    parser.add_argument("--name", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--topology", type=Path)
    parser.add_argument("--interval-ns", type=int, required=True)
    parser.add_argument("--no-agents", action="store_true")
    parser.add_argument("--listen", type=int, required=True, help="open listening TCP socket")
    parser.add_argument("--tell", type=int, required=True, help="open pipe for notices, errors and readiness")
    parser.add_argument("--end-with", type=int, help="open pidfd; the lab ends when that process does")
    return parser.parse_args()


class StatusReporter:
    """Sends status lines to ``lab up`` until the lab is ready."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def report(self, message: dict[str, object]) -> None:
        """Write one status line for the process that started the lab."""
        try:
            os.write(self._fd, json.dumps(message).encode() + b"\n")
        except OSError:
            return  # that process has exited; the lab keeps running


def _isolate() -> None:
    """Leave every namespace; without root, a new user namespace makes us root of the others."""
    uid, gid = os.getuid(), os.getgid()
    flags = (
        kernel.CLONE_NEWNS
        | kernel.CLONE_NEWPID
        | kernel.CLONE_NEWNET
        | kernel.CLONE_NEWUTS
        | kernel.CLONE_NEWIPC
    )
    if not _isolate_as_root(flags):
        os.environ["NETPROBE_LAB_ROOTLESS"] = "1"
        kernel.unshare(flags | kernel.CLONE_NEWUSER)
        kernel.become_root_of_user_namespace(uid=uid, gid=gid)
    kernel.make_mounts_private()


def _isolate_as_root(flags: int) -> bool:
    """Try it without a user namespace; False without root, or if root is not allowed to (in a container)."""
    if os.geteuid() != 0:
        return False
    try:
        kernel.unshare(flags)
    except SystemRefusedError:
        return False
    return True


def _become_first_process(state: StateFolder, chosen: argparse.Namespace) -> None:
    """Fork into the new PID namespace; the parent records the child's PID and exits, the child returns."""
    noted_read, noted_write = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(noted_write)
        os.read(noted_read, 1)  # the parent shares our mounts and must finish with the folder first
        os.close(noted_read)
        return
    listening = socket.socket(fileno=chosen.listen)
    state.write_facts(LabFacts(chosen.name, first, listening.getsockname()[1], chosen.interval_ns))
    os._exit(0)


def _cover_run(state: StateFolder) -> None:
    """Mount a private tmpfs over ``/run``, and bind the state folder into it."""
    run = Path("/run")
    kept = os.open(state.root, os.O_RDONLY | os.O_DIRECTORY)
    kernel.mount_tmpfs(run)
    if run in state.root.resolve().parents:
        state.root.mkdir(parents=True)
        kernel.bind(f"/proc/self/fd/{kept}", state.root)
    os.close(kept)


def _wait_for_supervisor() -> None:
    """Become the first process: fork the supervisor, reap children, exit with it. The child returns."""
    supervisor = os.fork()
    if supervisor == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _run_lab(
    topology: Topology, state: StateFolder, chosen: argparse.Namespace, reporter: StatusReporter
) -> None:
    listening = socket.socket(fileno=chosen.listen)
    options = LabOptions(
        name=chosen.name,
        interval_ns=chosen.interval_ns,
        with_agents=not chosen.no_agents,
        bus_url=f"tls://127.0.0.1:{listening.getsockname()[1]}",
    )
    lab = RunningLab(plan_lab(topology), state, options)
    try:
        lab.bring_up(lambda notice: reporter.report({"notice": notice}))
    except BaseException:
        lab.processes.end_all()
        raise
    asyncio.run(_serve(lab, listening, chosen, reporter))


async def _serve(
    lab: RunningLab, listening: socket.socket, chosen: argparse.Namespace, reporter: StatusReporter
) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if chosen.end_with is not None:
        loop.add_reader(chosen.end_with, ended.set)
    control = ControlServer(lab, end=ended.set)

    async def report_ready() -> None:
        reporter.report({"ready": True})
        await ended.wait()

    try:
        await run_until_first(
            control.listen(lab.state.control),
            relay(listening, host=lab.plan.hub_addresses[0], port=BUS_PORT),
            report_ready(),
        )
    except Exception:
        logger.exception("the lab ends early")
    await asyncio.to_thread(lab.take_down)
    for connection in control.closing:
        connection.close()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    if sys.platform != "linux":
        raise SystemRefusedError("the lab needs Linux")
    main()
