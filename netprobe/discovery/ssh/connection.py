"""A connection to one host, through its jump hosts, with every key verified and every wait bounded.

Rules: one deadline covers the whole way in; whatever happens, every connection made on the way is closed
without waiting for the far side; what a library raises leaves here as one of our errors that names the hop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncssh

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import NoAnswerError, SshError
from netprobe.discovery.ssh.hostkeys import TrustedKeys
from netprobe.discovery.ssh.logins import log_in
from netprobe.model.ssh import SshAccess, SshHop

logger = logging.getLogger(__name__)
MOST_BYTES = 16 * 1024 * 1024
"""What one command may print; a gateway's whole ruleset with 50,000 rules is about 10 MB."""
_WORDS_OF_ERROR = 200
_CHUNK = 262_144
_KEEPALIVE_S = 10
"""A tunnel that carries nothing still notices that its far end is gone."""


@dataclass(frozen=True, slots=True)
class SshTimeouts:
    """How long we wait, in seconds."""

    connect_s: float = 10.0
    """For the whole way in, jump hosts included."""
    command_s: float = 10.0
    """For one command."""


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What a command printed and how it ended."""

    command: Command
    output: bytes
    complaint: str
    """The first words of its stderr, printable characters only."""
    status: int | None
    """Exit status; None where a signal ended it."""


class SshHost:
    """A host that let us in."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, access: SshAccess, wait: SshTimeouts
    ) -> None:
        self._connection, self._access, self._wait = connection, access, wait

    @property
    def host_key(self) -> str:
        """The fingerprint of the host's verified key, ``SHA256:…``."""
        key = self._connection.get_server_host_key()
        return str(key.get_fingerprint()) if key is not None else ""

    async def run(self, command: Command) -> CommandOutput:
        """Run one allowed command to its end; `SshError` where it does not end or prints without end."""
        line = command.line(sudo=self._access.sudo)
        try:
            async with asyncio.timeout(self._wait.command_s):
                return await self._run(command, line)
        except TimeoutError as error:
            told = f"{command.name!r} did not finish within {self._wait.command_s:g} s"
            raise SshError(f"{self._access.target}: {told}") from error
        except (asyncssh.Error, OSError) as error:
            raise SshError(f"{self._access.target}: {command.name!r}: {_words(error)}") from error

    async def run_script(self, name: str, line: str, *, stdin: bytes, timeout_s: float) -> bytes:
        """Run one of our own scripts, *line* already quoted, and return what it printed.

        Raises `SshError` with the script's first words where it fails or does not end.
        """
        privileged = f"sudo -n {line}" if self._access.sudo else line
        try:
            async with asyncio.timeout(timeout_s):
                output, complaint, status = await self._talk(privileged, name, stdin)
        except TimeoutError as error:
            raise SshError(f"{self._access.target}: {name} did not finish within {timeout_s:g} s") from error
        except (asyncssh.Error, OSError) as error:
            raise SshError(f"{self._access.target}: {name}: {_words(error)}") from error
        if status != 0:
            why = _printable(complaint) or ("failed" if status else "the connection was lost")
            raise SshError(f"{self._access.target}: {name}: {why}")
        return output

    @asynccontextmanager
    async def forward_from_here(self, host: str, port: int) -> AsyncIterator[int]:
        """A loopback port here that leads to *host*:*port* as this host sees it, while the block lasts."""
        try:
            listener = await self._connection.forward_local_port("127.0.0.1", 0, host, port)
        except (asyncssh.Error, OSError) as error:
            raise SshError(f"{self._access.target}: no forward to {host}:{port}: {_words(error)}") from error
        async with _closing(listener):
            yield listener.get_port()

    @asynccontextmanager
    async def forward_to_here(self, port: int, *, host: str, target_port: int) -> AsyncIterator[None]:
        """Loopback *port* of this host leads to *host*:*target_port* as we see it, while the block lasts."""
        try:
            listener = await self._connection.forward_remote_port("127.0.0.1", port, host, target_port)
        except (asyncssh.Error, OSError) as error:
            told = f"{self._access.target}: it does not let us listen on its loopback port {port}"
            raise SshError(f"{told}: {_words(error)}") from error
        async with _closing(listener):
            yield

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await self._connection.wait_closed()

    async def _run(self, command: Command, line: str) -> CommandOutput:
        output, complaint, status = await self._talk(line, command.name, b"")
        logger.debug(
            "%s: %s printed %d bytes, status %s", self._access.target, command.name, len(output), status
        )
        return CommandOutput(command, output, _printable(complaint), status)

    async def _talk(self, line: str, name: str, stdin: bytes) -> tuple[bytes, bytes, int | None]:
        """Its stdout, stderr, and exit status where it has one."""
        feed = asyncssh.PIPE if stdin else asyncssh.DEVNULL
        process = await self._connection.create_process(line, encoding=None, stdin=feed)
        try:
            output, complaint, _ = await asyncio.gather(
                self._read(process.stdout, name), self._read(process.stderr, name), _feed(process, stdin)
            )
            done = await process.wait()
        finally:
            process.close()
        status = done.exit_status if isinstance(done.exit_status, int) and done.exit_status >= 0 else None
        return output, complaint, status

    async def _read(self, stream: asyncssh.SSHReader[bytes], name: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := await stream.read(65_536):
            size += len(chunk)
            if size > MOST_BYTES:
                raise SshError(f"{self._access.target}: {name!r} printed more than {MOST_BYTES} bytes")
            parts.append(chunk)
        return b"".join(parts)


@asynccontextmanager
async def _closing(listener: asyncssh.SSHListener) -> AsyncIterator[None]:
    try:
        yield
    finally:
        listener.close()


async def _feed(process: asyncssh.SSHClientProcess[bytes], content: bytes) -> None:
    """Write *content* as fast as the far side takes it; one that stops reading says why on stderr."""
    if not content:
        return
    try:
        for start in range(0, len(content), _CHUNK):
            process.stdin.write(content[start : start + _CHUNK])
            await process.stdin.drain()
        process.stdin.write_eof()
    except (BrokenPipeError, ConnectionError):
        return


@asynccontextmanager
async def open_host(
    access: SshAccess,
    *,
    wait: SshTimeouts = SshTimeouts(),
    config: Path | None = None,
) -> AsyncIterator[SshHost]:
    """Enter the host of *access*; *config* is the OpenSSH configuration, by default ``~/.ssh/config``.

    Raises `HostKeyError` for a server key that is not trusted, `NoAnswerError` for a host that is silent,
    `SshError` for everything else.
    """
    configs = _find_config(config)
    async with AsyncExitStack() as stack:
        connection: asyncssh.SSHClientConnection | None = None
        hop = access.target
        try:
            async with asyncio.timeout(wait.connect_s) as limit:
                for hop in (*access.jumps, access.target):
                    connection = await _enter(hop, access, before=connection, configs=configs, limit=limit)
                    stack.callback(connection.abort)
        except TimeoutError as error:
            kind = NoAnswerError if hop is access.target else SshError
            raise kind(f"{hop}: no answer within {wait.connect_s:g} s") from error
        assert connection is not None
        host = SshHost(connection, access, wait)
        logger.info("%s: connected over SSH, host key %s", access.target, host.host_key)
        stack.callback(logger.debug, "%s: closing the SSH connection", access.target)
        yield host


def _find_config(path: Path | None) -> list[str] | None:
    found = path or Path("~/.ssh/config").expanduser()
    return [str(found)] if found.is_file() else None


async def _enter(
    hop: SshHop,
    access: SshAccess,
    *,
    before: asyncssh.SSHClientConnection | None,
    configs: list[str] | None,
    limit: asyncio.Timeout,
) -> asyncssh.SSHClientConnection:
    trusted = TrustedKeys(hop)
    logger.debug("%s: connecting over SSH%s", hop, " through the host before" if before is not None else "")
    options: dict[str, object] = {"known_hosts": trusted, "x509_trusted_certs": None, "config": configs}
    options |= {"keepalive_interval": _KEEPALIVE_S, "keepalive_count_max": 3}
    options |= {"username": hop.user} if hop.user else {}
    options |= {"port": hop.port} if hop.port else {}
    options |= {"client_keys": [_key_of(hop)]} if hop.key else {}
    options |= {} if access.agent else {"agent_path": None}
    # Whatever ~/.ssh/config says: no agent of ours and nothing of our environment goes to a host, and the way
    # there is the one that was declared: ProxyJump would make another, with a host key check that
    # UserKnownHostsFile can switch off. An empty tuple is the library's word for "as the configuration says".
    options |= {"agent_forwarding": False, "send_env": [], "env": {}, "tunnel": before}
    connect = partial(
        asyncssh.connect, hop.host, preferred_auth="publickey", client_version="netprobe", **options
    )
    try:
        return await log_in((hop.host, hop.port or 0), connect, limit=limit)
    except asyncssh.Error as error:
        raise trusted.refusal(error) or SshError(f"{hop}: {_words(error)}") from error
    except OSError as error:
        raise SshError(f"{hop}: {error.strerror or _words(error)}") from error
    except (ValueError, asyncssh.ConfigParseError) as error:
        raise SshError(f"{hop}: {_words(error)}") from error


def _key_of(hop: SshHop) -> object:
    """The private key, with its certificate; a key that cannot be read is named by its file only."""
    path = Path(hop.key).expanduser()
    try:
        key = asyncssh.read_private_key(str(path))
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise SshError(f"{path}: cannot be used as a private key: {reason}") from error
    if not hop.certificate:
        return key
    certificate = Path(hop.certificate).expanduser()
    try:
        return key, asyncssh.read_certificate(str(certificate))
    except (OSError, asyncssh.KeyImportError) as error:
        raise SshError(f"{certificate}: cannot be used as a certificate: {type(error).__name__}") from error


def _words(error: Exception) -> str:
    told = error.reason if isinstance(error, asyncssh.Error) else str(error)
    return _printable(told.encode()) or type(error).__name__


def _printable(raw: bytes) -> str:
    """The first line of what a stranger wrote, without anything a terminal would obey."""
    line = raw[: 4 * _WORDS_OF_ERROR].decode(errors="replace").strip().partition("\n")[0]
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:_WORDS_OF_ERROR]
