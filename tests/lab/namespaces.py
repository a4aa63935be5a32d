"""Hosts, links and routers made of network namespaces, for tests on real packets.

Rules: every namespace belongs to a user namespace of its own, so nothing in the root namespace is ever
touched and root is not needed; every holder process ends by itself after a few minutes, whatever happens.

    with Namespaces() as network:
        a, r, b = (network.host(name) for name in "arb")
        network.link(a, r, "10.1.0.0/24", "fd00:1::/64")   # a is .1, r is .2
        network.link(r, b, "10.2.0.0/24", "fd00:2::/64")
        r.forward(); a.default_via(r); b.default_via(r)
        r.nft("add rule inet test forward ip daddr 10.2.0.2 drop")
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType

import pytest

_LIVES_S = 300
_TIMEOUT_S = 20
_QUIET = (
    "net.ipv6.conf.default.accept_dad", "net.ipv6.conf.all.accept_dad",
    "net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit",
)  # fmt: skip
"""No waiting for duplicate addresses, and every ICMP error is sent."""


@cache
def why_not() -> str:
    """Why there can be no namespaces here; empty where there can."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "nft") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(
        ["unshare", "-Urn", "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False
    )
    return f"no user namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def need_namespaces() -> pytest.MarkDecorator:
    """Skips, with the reason, where namespaces are impossible."""
    return pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")


@dataclass(slots=True)
class Host:
    """One network namespace."""

    name: str
    pid: int
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Addresses towards each neighbour, IPv4 first."""

    def command(self, *argv: str) -> list[str]:
        """The command line that runs *argv* in this namespace."""
        return ["nsenter", "-t", str(self.pid), "-U", "-n", "--preserve-credentials", *argv]

    def run(self, *argv: str, stdin: str | None = None) -> str:
        """Run a command to its end and return what it printed; a failure fails the test."""
        done = subprocess.run(
            self.command(*argv), input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"{self.name}: {' '.join(argv)}: {done.stderr}"
        return done.stdout

    def popen(self, *argv: str, **options: object) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(self.command(*argv), text=True, **options)  # type: ignore[call-overload,no-any-return]

    def ip(self, batch: str) -> None:
        """Run lines of ``ip``."""
        self.run("ip", "-batch", "-", stdin=batch)

    def forward(self) -> None:
        """Make this host a router."""
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.run("sysctl", "-qw", f"{key}=1")

    def default_via(self, router: Host) -> None:
        """Route everything over *router*."""
        v4, v6 = router.addresses[self.name]
        self.ip(f"route add default via {v4}\nroute add default via {v6}\n")

    def settle(self, *addresses: str) -> None:
        """Wait until each address answers: a fresh link needs about a second for IPv6 neighbours."""
        for address in addresses:
            self.run("ping", "-q", "-c", "1", "-i", "0.05", "-w", "10", address)

    def nft(self, *rules: str) -> None:
        """Replace this host's rules; table ``test`` has the five usual chains."""
        chains = "".join(
            f"add chain inet test {chain} {{ type {kind} hook {chain} priority {priority}; }}\n"
            for chain, kind, priority in (
                ("prerouting", "nat", "dstnat"),
                ("input", "filter", "0"),
                ("forward", "filter", "0"),
                ("output", "filter", "0"),
                ("postrouting", "nat", "srcnat"),
            )
        )
        script = "add table inet test\ndelete table inet test\nadd table inet test\n" + chains
        self.run("nft", "-f", "-", stdin=script + "".join(f"{rule}\n" for rule in rules))


class Namespaces:
    """A small network; gone at the end of the block.

    With *all_users* (only root can map them) daemons in it may change to users of their own, as sshd does.
    """

    def __init__(self, *, all_users: bool = False, lives_s: int = _LIVES_S) -> None:
        self._lives_s = lives_s
        self._all_users = all_users
        self._holders: list[subprocess.Popen[str]] = []
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Namespaces:
        if self._all_users:
            holder = self._hold("unshare", "-Un")
            for kind in ("uid", "gid"):
                Path(f"/proc/{holder.pid}/{kind}_map").write_text("0 0 65536\n")
        else:
            self._hold("unshare", "-Urn")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for holder in reversed(self._holders):
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            if holder.stdout:
                holder.stdout.close()

    def host(self, name: str) -> Host:
        """A new namespace with its loopback up."""
        outer = self._holders[0].pid
        holder = self._hold("nsenter", "-t", str(outer), "-U", "--preserve-credentials", "unshare", "-n")
        host = self._hosts[name] = Host(name, holder.pid)
        host.ip("link set lo up\n")
        host.run("sysctl", "-qw", *(f"{key}=0" for key in _QUIET))
        return host

    def link(self, one: Host, other: Host, v4: str, v6: str, *, mtu: int = 1500) -> None:
        """Join two hosts; *one* gets the first address of each network, *other* the second."""
        ends = (f"to-{other.name}"[:15], f"to-{one.name}"[:15])
        one.ip(f"link add {ends[0]} type veth peer name {ends[1]} netns {other.pid}\n")
        for number, (host, neighbour, end) in enumerate(
            ((one, other, ends[0]), (other, one, ends[1])), start=1
        ):
            networks = [ipaddress.ip_network(text) for text in (v4, v6)]
            addresses = [str(network[number]) for network in networks]
            lines = [
                f"addr add {address}/{network.prefixlen} dev {end}{' nodad' if network.version == 6 else ''}"
                for address, network in zip(addresses, networks, strict=True)
            ]
            host.ip("\n".join([*lines, f"link set {end} mtu {mtu} up", ""]))
            host.addresses[neighbour.name] = addresses

    def _hold(self, *enter: str) -> subprocess.Popen[str]:
        """A process that keeps a namespace alive; it says so when it is inside."""
        holder = subprocess.Popen(
            [*enter, "sh", "-c", f"echo inside; exec sleep {self._lives_s}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "inside\n", f"no namespace with {' '.join(enter)}"
        return holder
