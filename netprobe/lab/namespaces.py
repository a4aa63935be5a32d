"""One network namespace per host, with a name for ``ip netns``; one mount namespace per cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from netprobe.errors import SystemRefusedError
from netprobe.lab import kernel
from netprobe.lab.network_namespace import (
    NetworkNamespace,
    find_path,
    make_namespace,
    open_own_namespace,
)
from netprobe.lab.plan import LabHost

NETNS_FOLDER = Path("/run/netns")

_SYSCTLS = {
    # Routers forward; packets are not dropped because of asymmetric paths.
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # Of equal routes a flow takes one, by a hash of its addresses and ports.
    "ipv4/fib_multipath_hash_policy": "1",
    "ipv6/fib_multipath_hash_policy": "1",
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
_MAY_FAIL = frozenset({"ipv4/ping_group_range"})
"""A user namespace does not map these groups."""


class Namespaces:
    """The network namespaces of a lab."""

    def __init__(self) -> None:
        self._of: dict[str, NetworkNamespace] = {}
        self._mounts: dict[str, int] = {}

    def create(self, hosts: Iterable[LabHost], *, hub: str) -> None:
        """Make one namespace per host; the hub is our own namespace."""
        NETNS_FOLDER.mkdir(parents=True, exist_ok=True)
        for host in hosts:
            made = open_own_namespace(host.name) if host.name == hub else make_namespace(host.name)
            self._of[host.name] = made
            made.set_sysctls(_SYSCTLS, may_fail=_MAY_FAIL)
            path = NETNS_FOLDER / host.name.replace("/", ".")
            path.touch()
            kernel.bind(find_path(made.fd), path)

    def give_resolver(self, cluster: str, nameservers: Sequence[str]) -> None:
        """Make processes in the hosts of *cluster* use *nameservers*."""
        self._mounts[cluster] = _make_resolver(cluster, nameservers)

    def of(self, host: str) -> NetworkNamespace:
        """The namespace of a host."""
        return self._of[host]

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
        mounts = self._mounts.get(host.cluster)
        options = [] if mounts is None else [f"--mount={find_path(mounts)}"]
        return subprocess.Popen(
            self.of(host.name).command(*argv, options=[*options, f"--wd={folder}"]),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            start_new_session=True,
        )


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
