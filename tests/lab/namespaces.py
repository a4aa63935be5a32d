"""Hosts, links and routers made of network namespaces, for tests on real packets.

Rules: every namespace belongs to a user namespace of its own, so nothing in the root namespace is ever
touched and root is not needed; all are gone when the test ends or its process does, whatever happens.

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
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType

import pytest

from benchmarks.namespaces import VethEnd, lay_cable, prepare, unlimited
from netprobe.lab.network_namespace import NetworkNamespace, find_path


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


@dataclass(frozen=True, slots=True)
class Host(NetworkNamespace):
    """One host of a test's network."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Addresses towards each neighbour, IPv4 first."""

    def popen(self, *argv: str, **options: object) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(self.command(*argv), text=True, **options)  # type: ignore[call-overload,no-any-return]

    def ip(self, batch: str) -> None:
        """Run lines of ``ip``."""
        self.run("ip", "-batch", "-", stdin=batch)

    def forward(self) -> None:
        """Make this host a router."""
        self.set_sysctls({"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})

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
        self.load_rules(script + "".join(f"{rule}\n" for rule in rules))


class Namespaces:
    """A small network; gone at the end of the block.

    With *all_users* (only root can map them) daemons in it may change to users of their own, as sshd does.
    """

    def __init__(self, *, all_users: bool = False) -> None:
        self._all_users = all_users
        self._kept = ExitStack()
        self._options: tuple[str, ...] = ()

    def __enter__(self) -> Namespaces:
        owner = self._open("user", "unshare", "-Un" if self._all_users else "-Urn")
        self._options = (f"--user={find_path(owner)}", "--preserve-credentials")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()

    def host(self, name: str) -> Host:
        """A new namespace with its loopback up."""
        made = self._open("net", "nsenter", *self._options, "unshare", "-n")
        host = Host(name, made, self._options)
        prepare(host)
        unlimited(host)
        return host

    def link(self, one: Host, other: Host, v4: str, v6: str, *, mtu: int = 1500) -> None:
        """Join two hosts; *one* gets the first address of each network, *other* the second."""
        ends = []
        for number, host, neighbour in ((1, one, other), (2, other, one)):
            networks = [ipaddress.ip_network(text) for text in (v4, v6)]
            host.addresses[neighbour.name] = [str(network[number]) for network in networks]
            numbered = tuple(f"{network[number]}/{network.prefixlen}" for network in networks)
            ends.append(VethEnd(host, f"to-{neighbour.name}"[:15], numbered))
        lay_cable(*ends, mtu=mtu)

    def _open(self, kind: str, *command: str) -> int:
        """The namespace that *command* makes, kept open; its process has ended.

        A process of its own has to make it: one with threads cannot enter a user namespace (setns(2)).
        """
        with subprocess.Popen(
            [*command, "sh", "-c", "echo inside; read -r end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as made:
            assert made.stdout is not None
            assert made.stdout.readline() == "inside\n", f"no namespace with {' '.join(command)}"
            if kind == "user" and self._all_users:
                for users in ("uid", "gid"):
                    Path(f"/proc/{made.pid}/{users}_map").write_text("0 0 65536\n")
            fd = os.open(f"/proc/{made.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        self._kept.callback(os.close, fd)
        return fd
