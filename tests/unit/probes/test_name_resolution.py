"""Names are resolved as this host does, and every kind of failure is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import dns.message
import dns.rcode
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import NotResolved, OutcomeKind, Reached, Refused, TimedOut
from netprobe.probes import http
from netprobe.probes.name_resolution import parse_resolvers, resolve
from netprobe.probes.net import Closed, Resolvers
from netprobe.probes.observation import Observation
from tests.facts import texts
from tests.unit.probes.questions import make_check

T = TypeVar("T")
RESOLVERS = Resolvers(("10.96.0.10", "10.96.0.11"), ("shop.svc.cluster.local", "svc.cluster.local"), ndots=5)


@dataclass
class ResolverNet:
    """A DNS server that knows *zone*, and an HTTP server; *failure* is what else a query meets."""

    zone: dict[str, str] = field(default_factory=dict)
    known: Resolvers = RESOLVERS
    failure: Observation | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: int = 5

    def now_ns(self) -> int:
        self.now += 10
        return self.now

    def wall_ns(self) -> int:
        return self.now

    def resolvers(self) -> Resolvers:
        return self.known

    async def connect(self, check: Check, *, port: int) -> ResolverNet | Observation:
        return self

    async def exchange(
        self, check: Check, *, port: int, request: bytes, accept: Callable[[bytes], T | None]
    ) -> T | Observation:
        query = dns.message.from_wire(request)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked.append((check.target.address, name))
        if self.failure is not None:
            return self.failure
        reply = dns.message.make_response(query)
        if name in self.zone:
            reply.answer.append(dns.rrset.from_text(f"{name}.", 5, "IN", "A", self.zone[name]))
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        accepted = accept(reply.to_wire())
        assert accepted is not None
        return accepted

    async def send(self, data: bytes) -> Closed | Observation | None:
        return None

    async def receive(self) -> bytes | Closed | Observation:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async def wait_acknowledged(self) -> Closed | Observation | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


CHECK = make_check(Probe("http", port=80, name="db"), kind=TargetKind.OUTSIDE)


def test_the_search_list_is_walked_until_a_name_is_known() -> None:
    net = ResolverNet({"db.svc.cluster.local": "10.0.0.9"})
    assert asyncio.run(resolve(CHECK, net, "db")) == ("10.0.0.9",)
    assert net.asked == [("10.96.0.10", f"db.{one}svc.cluster.local") for one in ("shop.", "")]


def test_every_failure_names_the_server_and_what_it_said() -> None:
    def failed(net: ResolverNet) -> tuple[object, str]:
        seen = asyncio.run(resolve(CHECK, net, "db"))
        assert isinstance(seen, Observation)
        return seen.outcome, str(seen.detail)

    assert failed(ResolverNet()) == (NotResolved("db", "NXDOMAIN"), "resolve db: 10.96.0.10 says NXDOMAIN")
    silent = failed(ResolverNet(failure=Observation(TimedOut(5_000_000))))
    assert silent == (NotResolved("db", "timeout"), "resolve db: 10.96.0.10 no answer within 5 ms")
    assert failed(ResolverNet(failure=Observation(Refused(3))))[0] == NotResolved("db", "refused")
    assert failed(ResolverNet(known=Resolvers()))[0] == NotResolved("db", "this host knows no DNS server")


def test_resolving_is_a_phase_and_another_address_is_told() -> None:
    probe = Probe("http", port=80, name="db", options=(("identity", "no"), ("resolve", "yes")))
    check = make_check(probe, kind=TargetKind.OUTSIDE, address="10.0.0.2")
    seen = asyncio.run(http.ask(check, ResolverNet({"db": "10.0.0.9"}, known=Resolvers(("10.96.0.10",)))))
    assert seen.outcome == Reached(20), "the round trip begins with the connection"
    assert [name for name, _ in seen.phases_ns] == ["resolve", "connect", "first-byte"]
    assert texts(seen.facts)["resolved"] == "10.0.0.9; asked is 10.0.0.2, which is none of them"
    unknown = asyncio.run(http.ask(check, ResolverNet()))
    assert unknown.outcome.kind is OutcomeKind.NOT_RESOLVED
    assert [name for name, _ in unknown.phases_ns] == ["resolve"]


@given(st.text(max_size=200))
def test_whatever_stands_in_resolv_conf_is_read_or_left_out(text: str) -> None:
    found = parse_resolvers(text)
    assert all(list(found.candidates(name))[-1:] for name in ("a", "a.b.c.d.e.f.g"))
