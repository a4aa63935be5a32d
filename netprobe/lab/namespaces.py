"""One network namespace per host, kept by open files and bind mounts of the supervisor.

Rule: a thread always returns. :meth:`Namespaces.inside` moves the calling thread into a host and back;
sockets and child processes that are opened meanwhile stay in that host.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from netprobe.errors import SystemRefusedError
from netprobe.lab import kernel
from netprobe.lab.plan import LabHost

NETNS_FOLDER = Path("/run/netns")
_TOOL_WAIT_S = 20.0

_SYSCTLS = {
    # Routers forward; packets are not dropped because of asymmetric paths.
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    # Addresses are unique in the lab: usable at once, and kept while a link is down.
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/all/keep_addr_on_down": "1",
    "ipv6/conf/default/keep_addr_on_down": "1",
    # Every rejection is sent; a rate limit would suppress some. The mask also lifts the limit for all peers
    # together (icmp_msgs_per_sec), which a sweep by many agents exceeds.
    "ipv4/icmp_ratelimit": "0",
    "ipv4/icmp_ratemask": "0",
    "ipv6/icmp/ratelimit": "0",
    # Agents without NET_RAW may ping.
    "ipv4/ping_group_range": "0 2147483647",
}


class Namespaces:
    """The network namespaces of a lab."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        self._mounts: dict[str, int] = {}
        self._home = _open_own()

    def create(self, hosts: Iterable[LabHost], *, hub: str) -> None:
        """Make one namespace per host; the hub is our own namespace."""
        NETNS_FOLDER.mkdir(parents=True, exist_ok=True)
        for host in hosts:
            if host.name != hub:
                kernel.unshare(kernel.CLONE_NEWNET)
            fd = _open_own()
            self._fds[host.name] = fd
            _set_sysctls()
            path = self.path(host.name)
            path.touch()
            kernel.bind(f"/proc/self/fd/{fd}", path)
            kernel.setns(self._home, kernel.CLONE_NEWNET)

    def give_resolver(self, cluster: str, nameservers: Sequence[str]) -> None:
        """Make processes in the hosts of *cluster* use *nameservers*."""
        self._mounts[cluster] = _make_resolver(cluster, nameservers)

    @staticmethod
    def path(host: str) -> Path:
        """Path of a host's namespace, as ``ip netns`` expects it."""
        return NETNS_FOLDER / host.replace("/", ".")

    def fd(self, host: str) -> int:
        """The open namespace of a host."""
        return self._fds[host]

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Run the block with the calling thread inside *host*."""
        before = _open_own()
        kernel.setns(self._fds[host], kernel.CLONE_NEWNET)
        try:
            yield
        finally:
            kernel.setns(before, kernel.CLONE_NEWNET)
            os.close(before)

    def popen(
        self,
        host: LabHost,
        argv: Sequence[str],
        *,
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
        env: Mapping[str, str] | None = None,
        folder: str = "/",
    ) -> subprocess.Popen[bytes]:
        """Start a process inside *host*: its network, and its cluster's ``/etc/resolv.conf``."""
        enter = ["nsenter", f"--net={self.path(host.name)}"]
        if host.cluster in self._mounts:
            enter.append(f"--mount=/proc/{os.getpid()}/fd/{self._mounts[host.cluster]}")
        return subprocess.Popen(
            [*enter, f"--wd={folder}", "--", *argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            start_new_session=True,
        )

    def run(self, host: str, argv: Sequence[str], *, text: str = "") -> str:
        """Run a tool inside *host*; return its output, raise its error output."""
        with self.inside(host):
            try:
                done = subprocess.run(
                    argv, input=text, capture_output=True, text=True, check=False, timeout=_TOOL_WAIT_S
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise SystemRefusedError(f"{argv[0]} on {host}: {error}") from error
        if done.returncode != 0:
            complaint = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise SystemRefusedError(f"{argv[0]} on {host}: {complaint}")
        return done.stdout


def _make_resolver(cluster: str, nameservers: Sequence[str]) -> int:
    """Make and open a mount namespace whose ``/etc/resolv.conf`` names the cluster's DNS server."""
    text = "".join(f"nameserver {address}\n" for address in nameservers)
    resolver = Path(f"/run/resolv.{cluster}.conf")
    resolver.write_text(f"search svc.cluster.local cluster.local\n{text}options timeout:1 attempts:1\n")
    made_read, made_write = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        _hold_mounts(resolver, made_write, done_read, close=(made_read, done_write))
    os.close(made_write)
    os.close(done_read)
    try:
        if os.read(made_read, 1) != b"+":
            raise SystemRefusedError("cannot mount a cluster's own /etc/resolv.conf")
        return os.open(f"/proc/{child}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(done_write)
        os.close(made_read)
        os.waitpid(child, 0)


def _hold_mounts(resolver: Path, made: int, done: int, *, close: tuple[int, int]) -> None:
    """In the child: keep its own mount namespace until the parent has opened it. Never returns."""
    try:
        for fd in close:
            os.close(fd)
        kernel.unshare(kernel.CLONE_NEWNS)
        target = Path("/etc/resolv.conf").resolve()
        if not target.exists():  # a symbolic link into /run, which the lab covers
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        kernel.bind(resolver, target)
        os.write(made, b"+")
        os.read(done, 1)
    finally:
        os._exit(0)


def _open_own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _set_sysctls() -> None:
    for name, value in _SYSCTLS.items():
        path = Path("/proc/sys/net") / name
        try:
            path.write_text(value)
        except FileNotFoundError:
            continue  # this kernel does not have it
        except OSError as error:
            if name != "ipv4/ping_group_range":  # groups that a user namespace does not map
                raise SystemRefusedError(f"cannot set net/{name}: {error.strerror}") from error
