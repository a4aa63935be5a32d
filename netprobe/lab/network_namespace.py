"""One network namespace: made, entered, configured, and used by programs.

Rules: an open file of this process keeps it, so nothing has to be removed: when we and the programs inside
have ended, in whatever way, the kernel removes it with its links and rules. A thread always returns.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from netprobe.errors import SystemRefusedError
from netprobe.lab import kernel

_TOOL_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """A network namespace."""

    name: str
    """Of the host that it stands for, in errors."""
    fd: int
    """The open file that keeps it."""
    options: tuple[str, ...] = ()
    """Options of ``nsenter``: what commands enter beside it."""

    def command(self, *argv: str, options: Sequence[str] = ()) -> list[str]:
        """The command line that runs *argv* inside, as long as this process keeps the namespace."""
        return ["nsenter", *self.options, f"--net={find_path(self.fd)}", *options, "--", *argv]

    def run(self, *argv: str, stdin: str = "", pass_fds: Sequence[int] = ()) -> str:
        """Run a program inside to its end; return its output, raise its error output."""
        try:
            done = subprocess.run(
                self.command(*argv),
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TOOL_WAIT_S,
                pass_fds=pass_fds,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SystemRefusedError(f"{argv[0]} on {self.name}: {error}") from error
        if done.returncode != 0:
            complaint = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise SystemRefusedError(f"{argv[0]} on {self.name}: {complaint}")
        return done.stdout

    def shell(self, script: str) -> str:
        """Run shell lines inside; the first failure raises."""
        return self.run("sh", "-e", stdin=script)

    def load_rules(self, rules: str) -> None:
        """Load nftables rules inside."""
        self.run("nft", "-f", "-", stdin=rules)

    def set_sysctls(self, values: Mapping[str, str], *, may_fail: Collection[str] = ()) -> None:
        """Write settings by their path below ``net``; those that this kernel lacks are passed over."""
        lines = []
        for name, value in values.items():
            path = f"/proc/sys/net/{name}"
            line = f"[ ! -e {path} ] || echo '{value}' >{path}"
            lines.append(f"{{ {line}; }} 2>/dev/null || :" if name in may_fail else line)
        self.shell("".join(f"{line}\n" for line in lines))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run the block with the calling thread inside; sockets that it opens stay there."""
        with _returning():
            kernel.setns(self.fd, kernel.CLONE_NEWNET)
            yield

    def close(self) -> None:
        """Do not keep it any longer."""
        os.close(self.fd)


def make_namespace(name: str) -> NetworkNamespace:
    """Make a new network namespace, which belongs to the user namespace of this process."""
    with _returning():
        kernel.unshare(kernel.CLONE_NEWNET)
        return open_own_namespace(name)


def open_own_namespace(name: str) -> NetworkNamespace:
    """The namespace of the calling thread."""
    return NetworkNamespace(name, _open_own())


def find_path(fd: int) -> str:
    """Where other processes find an open namespace of this one."""
    return f"/proc/{os.getpid()}/fd/{fd}"


@contextmanager
def _returning() -> Iterator[None]:
    before = _open_own()
    try:
        yield
    finally:
        kernel.setns(before, kernel.CLONE_NEWNET)
        os.close(before)


def _open_own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
