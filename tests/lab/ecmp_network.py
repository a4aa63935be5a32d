"""Two real ways between two hosts, and a router that spreads flows over them.

a (prod/w1/pod) ── r ─┬─ x ─┬─ s ── b (dev/w1/pod)
                      └─ y ─┘
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netprobe.model.names import AgentId
from tests.lab.namespaces import Host, Namespaces

A, B = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
B4, B6 = "10.6.0.2", "fd00:6::2"
BORROWED = {B4: "192.0.2.9", B6: "2001:db8::9"}
"""What a translator without memory puts in place of a's address."""


@dataclass(frozen=True, slots=True)
class TwoWays:
    """The hosts, by the letters of the picture."""

    a: Host
    r: Host
    x: Host
    y: Host
    s: Host
    b: Host


@contextmanager
def two_ways() -> Iterator[TwoWays]:
    """Build it; r spreads flows by their ports."""
    with Namespaces() as made:
        a, r, x, y, s, b = (made.host(name) for name in "arxysb")
        for number, (one, other) in enumerate(((a, r), (r, x), (r, y), (x, s), (y, s), (s, b)), start=1):
            made.link(one, other, f"10.{number}.0.0/24", f"fd00:{number}::/64")
        for router in (r, x, y, s):
            router.forward()
        for family in ("ipv4", "ipv6"):
            r.set_sysctls({f"{family}/fib_multipath_hash_policy": "1"})
        r.ip("route add 10.6.0.0/24 nexthop via 10.2.0.2 nexthop via 10.3.0.2\n"
             "route add fd00:6::/64 nexthop via fd00:2::2 nexthop via fd00:3::2\n")  # fmt: skip
        for router, link in ((x, 2), (y, 3)):
            router.ip(f"route add 10.1.0.0/24 via 10.{link}.0.1\nroute add fd00:1::/64 via fd00:{link}::1\n")
            router.default_via(s)
            router.ip(
                f"route add {BORROWED[B4]} via 10.{link}.0.1\nroute add {BORROWED[B6]} via fd00:{link}::1\n"
            )
        for far in ("10.1.0.0/24", BORROWED[B4]):
            s.ip(f"route add {far} via 10.4.0.1\n")
        for far in ("fd00:1::/64", BORROWED[B6]):
            s.ip(f"route add {far} via fd00:4::1\n")
        for mark, link in (
            (1, 2),
            (2, 3),
        ):  # see spread_by_checksum
            for version, via in (("-4", f"10.{link}.0.2"), ("-6", f"fd00:{link}::2")):
                r.run("ip", version, "rule", "add", "fwmark", str(mark), "table", str(100 + mark))
                r.run("ip", version, "route", "add", "default", "via", via, "table", str(100 + mark))
        a.default_via(r)
        b.default_via(s)
        a.settle(B4, B6)
        yield TwoWays(a, r, x, y, s, b)


@dataclass(frozen=True, slots=True)
class ManyWays:
    """Host a, the router r that spreads its flows, host b, and the addresses of the routers between."""

    a: Host
    r: Host
    b: Host
    routers: tuple[str, ...]


@contextmanager
def many_ways(width: int) -> Iterator[ManyWays]:
    """As :func:`two_ways` with *width* routers between r and s; IPv4 only."""
    with Namespaces() as made:
        a, r, s, b = (made.host(name) for name in "arsb")
        between = [made.host(f"m{number}") for number in range(width)]
        made.link(a, r, "10.1.0.0/24", "fd00:1::/64")
        made.link(s, b, "10.6.0.0/24", "fd00:6::/64")
        for number, router in enumerate(between):
            made.link(r, router, f"10.{20 + number}.0.0/24", f"fd00:{20 + number}::/64")
            made.link(router, s, f"10.{60 + number}.0.0/24", f"fd00:{60 + number}::/64")
            router.ip(f"route add 10.1.0.0/24 via 10.{20 + number}.0.1\n")
            router.default_via(s)
        for router in (r, s, *between):
            router.forward()
        r.set_sysctls({"ipv4/fib_multipath_hash_policy": "1"})
        routers = tuple(f"10.{20 + number}.0.2" for number in range(width))
        r.ip(f"route add 10.6.0.0/24 {' '.join(f'nexthop via {router}' for router in routers)}\n")
        s.ip("route add 10.1.0.0/24 via 10.60.0.1\n")
        a.default_via(r)
        b.default_via(s)
        a.settle(B4)
        yield ManyWays(a, r, b, routers)
