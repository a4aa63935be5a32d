"""Server for requests to the supervisor, one request per connection.

Rule: requests that change the lab run one after another in a worker thread; commands in hosts run in
parallel.
"""

from __future__ import annotations

import array
import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from netprobe.errors import InputError, NetprobeError
from netprobe.lab.protocol import (
    AddFault,
    Answer,
    Down,
    Exec,
    Exited,
    FaultAdded,
    FaultsRemoved,
    GoingDown,
    RemoveFault,
    Request,
    RequestFailed,
    StatusReply,
    StatusRequest,
)
from netprobe.lab.runtime import RunningLab

logger = logging.getLogger(__name__)

_MAX_REQUEST = 1 << 20
_REQUEST_WAIT_S = 5.0


class ControlServer:
    """Answers requests about one lab."""

    def __init__(self, lab: RunningLab, *, end: Callable[[], None]) -> None:
        self._lab = lab
        self._end = end
        self._change_lock = asyncio.Lock()
        self.closing: list[socket.socket] = []
        """Connections to close when the lab has stopped."""

    async def listen(self, path: Path) -> None:
        """Serve the Unix socket at *path* until cancelled."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(str(path))
            listening.listen(64)
            listening.setblocking(False)
            async with asyncio.TaskGroup() as tasks:
                while True:
                    connection, _ = await loop.sock_accept(listening)
                    tasks.create_task(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        fds: list[int] = []
        try:
            request = await asyncio.to_thread(receive_request, connection, fds)
            logger.debug("request: %s", type(request).__name__)
            answer = await self._answer(request, fds, connection)
            await asyncio.to_thread(connection.sendall, msgspec.json.encode(answer) + b"\n")
            if isinstance(answer, GoingDown):
                self.closing.append(connection)
                self._end()
                return
        except NetprobeError as error:
            failed = RequestFailed(str(error), by_input=isinstance(error, InputError))
            _try_to_send(connection, msgspec.json.encode(failed) + b"\n")
        except OSError:
            pass  # the client closed the connection
        except Exception as error:  # noqa: BLE001 - a bug must not stop the lab
            _try_to_send(connection, msgspec.json.encode(RequestFailed(repr(error), by_input=False)) + b"\n")
        finally:
            for fd in fds:
                os.close(fd)
        connection.close()

    async def _answer(self, request: Request, fds: list[int], connection: socket.socket) -> Answer:
        if isinstance(request, Exec):
            return await self._exec(request, fds, connection)
        async with self._change_lock:
            return await asyncio.to_thread(self._answer_blocking, request)

    def _answer_blocking(self, request: StatusRequest | AddFault | RemoveFault | Down) -> Answer:
        match request:
            case StatusRequest():
                return StatusReply(self._lab.status())
            case AddFault(kind, parameters):
                return FaultAdded(self._lab.faults.add(kind, parameters))
            case RemoveFault(identity):
                return FaultsRemoved(self._lab.faults.remove(identity))
            case Down():
                return GoingDown()

    async def _exec(self, request: Exec, fds: list[int], connection: socket.socket) -> Answer:
        host = self._lab.plan.find_host(request.host)
        if host is None:
            raise InputError(f"unknown host {request.host!r}; `netprobe lab status` lists the hosts")
        if len(fds) != 3 or not request.argv:
            raise InputError("exec needs a command and three open files")
        process = await asyncio.to_thread(
            self._lab.namespaces.popen,
            host,
            request.argv,
            stdin=fds[0],
            stdout=fds[1],
            stderr=fds[2],
            env=request.environment,
            folder=request.folder,
        )
        while fds:
            os.close(fds.pop())
        try:
            await _wait_for_end(process, connection)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        code = await asyncio.to_thread(process.wait)
        return Exited(code if code >= 0 else 128 - code)


async def _wait_for_end(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    """Return when the process has exited or the client has closed the connection."""
    loop = asyncio.get_running_loop()
    happened = asyncio.Event()
    pidfd = os.pidfd_open(process.pid)
    loop.add_reader(pidfd, happened.set)
    loop.add_reader(connection.fileno(), happened.set)
    try:
        await happened.wait()
    finally:
        loop.remove_reader(pidfd)
        loop.remove_reader(connection.fileno())
        os.close(pidfd)


def receive_request(connection: socket.socket, fds: list[int]) -> Request:
    """Read one line, and the files sent with it into *fds*."""
    connection.settimeout(_REQUEST_WAIT_S)
    data = b""
    while not data.endswith(b"\n"):
        size = array.array("i", [0]).itemsize
        chunk, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(3 * size))
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % size])
                fds.extend(received)
        data += chunk
        if not chunk or len(data) > _MAX_REQUEST:
            raise InputError("a request must be one line of JSON")
    try:
        return msgspec.json.decode(data, type=Request)  # type: ignore[no-any-return]
    except msgspec.MsgspecError as error:
        raise InputError(f"not a request: {error}") from error


def _try_to_send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return  # the client has closed the connection
