"""Client of a lab's supervisor: start a lab, send it requests, stop it.

Rule: this runs outside the lab, with the caller's rights; it makes no namespace and changes no network.
"""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from netprobe.errors import InputError, SystemRefusedError
from netprobe.lab.processes import check_programs
from netprobe.lab.protocol import (
    AddFault,
    Answer,
    Down,
    Exec,
    Exited,
    FaultAdded,
    FaultsRemoved,
    FaultStatus,
    GoingDown,
    LabStatus,
    RemoveFault,
    Request,
    RequestFailed,
    StatusReply,
    StatusRequest,
)
from netprobe.lab.state_folder import (
    StateFolder,
    claim_state,
    find_state,
    is_lab_process,
)
from netprobe.lab.topology import load_topology

_ORDER_WAIT_S = 60.0
_END_WAIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Start:
    """Options of a new lab."""

    name: str
    topology: Path | None = None
    interval_ns: int = 1_000_000_000
    with_agents: bool = True
    end_with_pid: int | None = None
    """The lab ends when this process ends."""


def start_lab(start: Start, *, notify: Callable[[str], None]) -> StateFolder:
    """Start a lab and return its folder; *notify* receives notices. On failure nothing is left behind."""
    load_topology(start.topology)
    check_programs()
    state = claim_state(start.name)
    try:
        _spawn(start, state, notify)
    except BaseException:
        take_down(start.name)
        raise
    return state


def _spawn(start: Start, state: StateFolder, notify: Callable[[str], None]) -> None:
    status_read, status_write = os.pipe()
    end_with = os.pidfd_open(start.end_with_pid) if start.end_with_pid is not None else None
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening,
        os.fdopen(status_read, "rb") as status_lines,
    ):
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        passed = [listening.fileno(), status_write, *([end_with] if end_with is not None else [])]
        try:
            with state.log("supervisor").open("ab") as log:
                shim = subprocess.Popen(
                    _command(
                        start, state, listening=listening.fileno(), status_fd=status_write, end_with=end_with
                    ),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=passed, start_new_session=True,
                )  # fmt: skip
        finally:
            os.close(status_write)
            if end_with is not None:
                os.close(end_with)
        try:
            for line in status_lines:
                if _handle_status(json.loads(line), notify):
                    return
        finally:
            shim.wait()
    log_text = state.log("supervisor").read_text(errors="replace").strip()
    raise SystemRefusedError(
        f"the lab's supervisor exited: {log_text.splitlines()[-1] if log_text else 'without output'}"
    )


def _command(
    start: Start, state: StateFolder, *, listening: int, status_fd: int, end_with: int | None
) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "netprobe.lab.supervisor",
        "--name",
        start.name,
        "--state",
        str(state.root),
    ]
    command += ["--interval-ns", str(start.interval_ns), "--listen", str(listening), "--tell", str(status_fd)]
    if start.topology is not None:
        command += ["--topology", str(start.topology.absolute())]
    if not start.with_agents:
        command.append("--no-agents")
    if end_with is not None:
        command += ["--end-with", str(end_with)]
    return command


def _handle_status(message: dict[str, object], notify: Callable[[str], None]) -> bool:
    """Handle one status line of a starting supervisor; True when the lab is ready."""
    if "error" in message:
        what = str(message["error"])
        raise InputError(what) if message.get("by_input") else SystemRefusedError(what)
    if "notice" in message:
        notify(str(message["notice"]))
    return bool(message.get("ready"))


class LabClient:
    """Sends requests to one running lab."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state = find_state(name)

    def status(self) -> LabStatus:
        """Status of the lab."""
        answer = self._ask(StatusRequest())
        assert isinstance(answer, StatusReply)
        return answer.status

    def add_fault(self, kind: str, parameters: Mapping[str, str]) -> FaultStatus:
        """Add a fault; returns when it is in place."""
        answer = self._ask(AddFault(kind, dict(parameters)))
        assert isinstance(answer, FaultAdded)
        return answer.fault

    def remove_fault(self, identity: str) -> tuple[str, ...]:
        """Remove the fault with that id, or ``all``."""
        answer = self._ask(RemoveFault(identity))
        assert isinstance(answer, FaultsRemoved)
        return tuple(answer.ids)

    def execute(
        self, host: str, argv: Sequence[str], *, files: tuple[int, int, int] = (0, 1, 2), folder: str = ""
    ) -> int:
        """Run a command inside *host* with these open files; return its exit code as a shell would."""
        request = Exec(host, list(argv), folder or str(Path.cwd()), dict(os.environ))
        answer = self._ask(request, files=files, wait_s=None)
        assert isinstance(answer, Exited)
        return answer.code

    def run(self, host: str, *argv: str) -> tuple[int, str]:
        """Run a command inside *host*; return its exit code and its output."""
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as collect:
            assert collect.stdin is not None
            assert collect.stdout is not None
            with Path(os.devnull).open("rb") as nothing:
                out = collect.stdin.fileno()
                code = self.execute(host, argv, files=(nothing.fileno(), out, out), folder="/")
            collect.stdin.close()
            return code, collect.stdout.read().decode(errors="replace")

    def end(self) -> None:
        """Ask the supervisor to exit and wait until it has."""
        with self._connect() as connection:
            connection.settimeout(_END_WAIT_S)
            answer = _exchange(connection, Down(), ())
            assert isinstance(answer, GoingDown)
            while connection.recv(4096):
                pass

    def _ask(
        self, request: Request, *, files: tuple[int, ...] = (), wait_s: float | None = _ORDER_WAIT_S
    ) -> Answer:
        with self._connect() as connection:
            connection.settimeout(wait_s)
            try:
                answer = _exchange(connection, request, files)
            except TimeoutError as error:
                raise SystemRefusedError(f"the lab {self._name!r} does not answer") from error
        if isinstance(answer, RequestFailed):
            raise InputError(answer.what) if answer.by_input else SystemRefusedError(answer.what)
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._state.control))
        except OSError as error:
            connection.close()
            raise InputError(
                f"no lab named {self._name!r} is up; `netprobe lab up` starts one", where="--name"
            ) from error  # fmt: skip
        return connection


def _exchange(connection: socket.socket, request: Request, files: tuple[int, ...]) -> Answer:
    data = msgspec.json.encode(request) + b"\n"
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    sent = connection.sendmsg([data], ancillary)
    if sent < len(data):
        connection.sendall(data[sent:])
    reply = b""
    while not reply.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            raise SystemRefusedError("the lab exited before it replied")
        reply += chunk
    return msgspec.json.decode(reply, type=Answer)  # type: ignore[no-any-return]


def take_down(name: str) -> bool:
    """Stop the lab of that name and remove its files; False if there was none."""
    state = find_state(name)
    if not state.root.exists():
        return False
    facts = state.read_facts()
    pidfd = _open_process(facts.pid) if facts is not None else None
    try:
        wait_s = _END_WAIT_S if _request_end(name) else 0.0
        if pidfd is not None and not _has_ended(pidfd, wait_s=wait_s):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            if not _has_ended(pidfd, wait_s=_END_WAIT_S):
                raise SystemRefusedError(f"the lab {name!r} cannot be stopped")
    finally:
        if pidfd is not None:
            os.close(pidfd)
    state.remove()
    return True


def _request_end(name: str) -> bool:
    """Ask a lab to exit; False if it does not reply: it is dead, not up yet, or stuck."""
    try:
        LabClient(name).end()
    except (InputError, SystemRefusedError, OSError):
        return False
    return True


def _open_process(pid: int) -> int | None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    if is_lab_process(pid):
        return pidfd
    os.close(pidfd)
    return None


def _has_ended(pidfd: int, *, wait_s: float) -> bool:
    """Wait until a process that is not our child has exited."""
    ready, _, _ = select.select([pidfd], [], [], wait_s)
    return bool(ready)
