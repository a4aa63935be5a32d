"""Network namespaces joined by cables, for measurements and tests on real packets.

Nothing in the caller's own network changes, and everything here vanishes with the process that made it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.lab.network_namespace import NetworkNamespace, make_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR_V4, FAR_V4 = "10.8.0.1", "10.8.0.2"
NEAR_V6, FAR_V6 = "fd08::1", "fd08::2"
MANY_V4, MANY_V6 = "10.9.0.0/16", "fd09::/64"
"""All of these addresses are the far end's."""


# --- networks of any shape ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VethEnd:
    """One end of a veth cable; its addresses have their prefix lengths."""

    namespace: NetworkNamespace
    interface: str
    addresses: tuple[str, ...]


def prepare(namespace: NetworkNamespace) -> None:
    """Raise the loopback; addresses that are added later can be used at once."""
    namespace.run("ip", "link", "set", "lo", "up")
    namespace.set_sysctls({"ipv6/conf/all/accept_dad": "0", "ipv6/conf/default/accept_dad": "0"})


def lay_cable(one: VethEnd, other: VethEnd, *, mtu: int = 1500) -> None:
    """Join two namespaces by a veth cable, and raise both ends."""
    # A file handed down: from within a user namespace ours could not be opened by its path.
    there = f"netns /proc/self/fd/{other.namespace.fd}"
    cable = f"link add name {one.interface} type veth peer name {other.interface} {there}\n"
    one.namespace.run("ip", "-batch", "-", stdin=cable, pass_fds=(other.namespace.fd,))
    for end in (one, other):
        lines = [
            f"addr add {address} dev {end.interface}{' nodad' if ':' in address else ''}\n"
            for address in end.addresses
        ]
        lines.append(f"link set {end.interface} mtu {mtu} up\n")
        end.namespace.run("ip", "-batch", "-", stdin="".join(lines))


def unlimited(namespace: NetworkNamespace) -> None:
    """Let the kernel send as many ICMP errors as it is asked for, where limits are not the question."""
    # Since Linux 6.11 each namespace has its own overall limit; before, only the first one could be set.
    overall = {"ipv4/icmp_msgs_per_sec": "1000000", "ipv4/icmp_msgs_burst": "100000"}
    each = {"ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0"}
    namespace.set_sysctls(each | overall, may_fail=overall)


# --- one cable ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamespacePair:
    """``near`` asks, ``far`` answers."""

    near: NetworkNamespace
    far: NetworkNamespace


def why_not() -> str:
    """Why namespaces cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return probe.stderr.strip()


@contextlib.contextmanager
def joined() -> Iterator[NamespacePair]:
    """Both namespaces, cabled, with addresses of both families."""
    with _made("near") as near, _made("far") as far:
        lay_cable(
            VethEnd(near, "cable", (f"{NEAR_V4}/24", f"{NEAR_V6}/64")),
            VethEnd(far, "cable", (f"{FAR_V4}/24", f"{FAR_V6}/64")),
        )
        far.shell(f"ip route add local {MANY_V4} dev lo; ip -6 route add local {MANY_V6} dev lo")
        near.shell(f"ip route add {MANY_V4} via {FAR_V4}; ip -6 route add {MANY_V6} via {FAR_V6}")
        # A fresh link loses its first packets while both ends find each other.
        near.shell(f"ping -q -c 1 -w 5 {FAR_V4}; ping -q -c 1 -w 5 {FAR_V6}; ping -q -c 1 -w 5 fd09::1")
        yield NamespacePair(near, far)


@contextlib.contextmanager
def _made(name: str) -> Iterator[NetworkNamespace]:
    with contextlib.closing(make_namespace(name)) as namespace:
        prepare(namespace)
        yield namespace


def steer(namespace: NetworkNamespace, *, processor: int) -> None:
    """Let *processor* do the kernel's work for packets that come in through the cable (RPS).

    On a veth cable it is otherwise done, and charged, inside the sender's own system call.
    """
    path = "/sys/class/net/cable/queues/rx-0/rps_cpus"
    # A fresh sysfs shows this namespace's interfaces; the mount is seen by this one shell alone.
    script = f"mount -t sysfs sysfs /sys && echo {1 << processor:x} > {path}"
    namespace.run("unshare", "--mount", "sh", "-ec", script)
