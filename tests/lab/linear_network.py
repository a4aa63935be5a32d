"""Hosts in a row: a (prod/w1/pod) ── routers ── b (dev/w1/pod), where an agent answers; asked from a.

Link *n* carries ``10.n.0.0/24`` and ``fd00:n::/64``; the nearer end has the
first address, the farther the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from netprobe.model.check import TargetKind
from netprobe.model.names import AgentId
from netprobe.model.outcome import Outcome
from netprobe.wire.messages import CheckAnswer
from tests.facts import texts
from tests.lab import agents
from tests.lab.agent_asker import Asker
from tests.lab.agents import MS, make_check, make_probe
from tests.lab.namespaces import Host, Namespaces

A, B = AgentId.parse("prod/w1/pod"), AgentId.parse("dev/w1/pod")
FAMILY = {4: "ip", 6: "ip6"}
BACK = {4: "10.1.0.0/24 dev to-a", 6: "fd00:1::/64 dev to-a proto kernel metric 256"}
"""The first router's own routes to a, as the kernel made them."""


def version_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def family_of(address: str) -> str:
    """What nft calls the address's family."""
    return FAMILY[version_of(address)]


@dataclass(slots=True)
class Line:
    """The row; every router is between a and b."""

    a: Host
    routers: tuple[Host, ...]
    b: Host
    asker: Asker

    @property
    def r(self) -> Host:
        """The first router."""
        return self.routers[0]

    @property
    def s(self) -> Host:
        """The last router."""
        return self.routers[-1]

    def ask(self, kind: str, address: str, *, port: int = 0, seconds: float = 30, name: str = "",
            target: TargetKind = TargetKind.AGENT, **options: str) -> CheckAnswer:  # fmt: skip
        """One question of a fresh agent in a; b's name is expected where the target is an agent."""
        probe = replace(
            make_probe(kind, port=port, name=name),
            timeout_ns=round(seconds * 1_000 * MS),
            options=tuple(sorted(options.items())),
        )
        expected = str(B) if target is TargetKind.AGENT else address
        check = make_check(A, address, probe, name=expected, kind=target, count=1)
        return self.asker.ask(check)

    def outcome(self, kind: str, address: str, **asked: object) -> Outcome:
        """How one question ended."""
        return self.ask(kind, address, **asked).outcomes[0]  # type: ignore[arg-type]

    def facts(self, kind: str, address: str, **asked: object) -> dict[str, str]:
        """What else one question found out."""
        return texts(self.ask(kind, address, **asked).details[0].facts)  # type: ignore[arg-type]

    def clear(self) -> None:
        """Take every rule away."""
        for host in (self.a, *self.routers, self.b):
            host.nft()


@contextmanager
def line(folder: Path, *, routers: int = 1) -> Iterator[Line]:
    """Build the row, with the agent B running at its end."""
    with Namespaces() as made:
        row = [made.host(name) for name in ("a", *"rstuv"[:routers], "b")]
        for number, (near, far) in enumerate(pairwise(row), start=1):
            made.link(near, far, f"10.{number}.0.0/24", f"fd00:{number}::/64")
        for router in row[1:-1]:
            router.forward()
        _route(row)
        row[0].settle(f"10.{routers + 1}.0.2", f"fd00:{routers + 1}::2")
        with agents.running(row[-1], B, folder=folder), Asker(row[0]) as asker:
            yield Line(row[0], tuple(row[1:-1]), row[-1], asker)


def _route(row: list[Host]) -> None:
    """Each host sends to b through its neighbour, and to a through the neighbour on the other side."""
    for at, host in enumerate(row[:-2]):
        host.default_via(row[at + 1])
    row[-1].default_via(row[-2])
    for at, host in enumerate(row[1:-1], start=1):
        v4, v6 = row[at - 1].addresses[host.name]
        host.ip("".join(f"route add 10.{behind}.0.0/24 via {v4}\nroute add fd00:{behind}::/64 via {v6}\n"
                        for behind in range(1, at)))  # fmt: skip
