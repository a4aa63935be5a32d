"""Two network namespaces joined by one cable, for measurements and tests on real packets.

Nothing in the caller's own network changes: both namespaces are new, and they vanish with their holders.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.lab import kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR_V4, FAR_V4 = "10.8.0.1", "10.8.0.2"
NEAR_V6, FAR_V6 = "fd08::1", "fd08::2"
MANY_V4, MANY_V6 = "10.9.0.0/16", "fd09::/64"
"""All of these addresses are the far end's."""


@dataclass(frozen=True, slots=True)
class HeldNamespace:
    """A network namespace, alive as long as its holder process."""

    holder: subprocess.Popen[bytes]

    def command(self, *words: str) -> list[str]:
        """*words* as a command that runs inside."""
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--", *words]

    def run(self, script: str) -> None:
        """Run shell lines inside; the first failure raises."""
        self._feed(["sh", "-e"], script)

    def filter(self, rules: str) -> None:
        """Load nftables rules inside."""
        self._feed(["nft", "-f", "-"], rules)

    def _feed(self, command: list[str], text: str) -> None:
        done = subprocess.run(self.command(*command), input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]} inside a namespace: {done.stderr.strip()[:300]}")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread open its sockets inside."""
        with (
            Path("/proc/thread-self/ns/net").open() as outside,
            Path(f"/proc/{self.holder.pid}/ns/net").open() as inside,
        ):
            kernel.setns(inside.fileno(), kernel.CLONE_NEWNET)
            try:
                yield
            finally:
                kernel.setns(outside.fileno(), kernel.CLONE_NEWNET)


@dataclass(frozen=True, slots=True)
class NamespacePair:
    """``near`` asks, ``far`` answers."""

    near: HeldNamespace
    far: HeldNamespace


def why_not() -> str:
    """Why namespaces cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return probe.stderr.strip()


@contextlib.contextmanager
def joined() -> Iterator[NamespacePair]:
    """Both namespaces, cabled, with addresses of both families."""
    with _namespace() as near, _namespace() as far:
        near.run(
            f"""
            sysctl -qw net.ipv6.conf.default.accept_dad=0
            ip link set lo up
            ip link add name cable type veth peer name cable netns {far.holder.pid}
            ip addr add {NEAR_V4}/24 dev cable
            ip addr add {NEAR_V6}/64 dev cable nodad
            ip link set cable up
            """
        )
        far.run(
            f"""
            sysctl -qw net.ipv6.conf.default.accept_dad=0
            ip link set lo up
            ip addr add {FAR_V4}/24 dev cable
            ip addr add {FAR_V6}/64 dev cable nodad
            ip link set cable up
            ip route add local {MANY_V4} dev lo
            ip -6 route add local {MANY_V6} dev lo
            """
        )
        near.run(f"ip route add {MANY_V4} via {FAR_V4}; ip -6 route add {MANY_V6} via {FAR_V6}")
        # A fresh link loses its first packets while both ends find each other.
        near.run(f"ping -q -c 1 -w 5 {FAR_V4}; ping -q -c 1 -w 5 {FAR_V6}; ping -q -c 1 -w 5 fd09::1")
        yield NamespacePair(near, far)


@contextlib.contextmanager
def _namespace() -> Iterator[HeldNamespace]:
    # The holder says a line once it is inside its own namespace, and ends when we close its input.
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            if not holder.stdout.readline():
                raise RuntimeError("cannot make a network namespace")
            yield HeldNamespace(holder)
        finally:
            holder.stdin.close()


def steer(namespace: HeldNamespace, *, processor: int) -> None:
    """Let *processor* do the kernel's work for packets that come in through the cable (RPS).

    On a veth cable it is otherwise done, and charged, inside the sender's own system call.
    """
    path = "/sys/class/net/cable/queues/rx-0/rps_cpus"
    # A fresh sysfs shows this namespace's interfaces; the mount is seen by this one shell alone.
    script = f"mount -t sysfs sysfs /sys && echo {1 << processor:x} > {path}"
    done = subprocess.run(
        namespace.command("unshare", "--mount", "sh", "-ec", script),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"cannot steer packets to processor {processor}: {done.stderr.strip()}")


def unlimited(namespace: HeldNamespace) -> None:
    """Let the kernel send as many ICMP errors as it is asked for, where limits are not the question."""
    namespace.run("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")
    # Since Linux 6.11 each namespace has its own overall limit; before, only the first one could be set.
    namespace.run("sysctl -qw net.ipv4.icmp_msgs_per_sec=1000000 net.ipv4.icmp_msgs_burst=100000 || true")
