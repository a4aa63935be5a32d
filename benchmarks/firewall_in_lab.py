"""A generated firewall standing in a lab: its listeners, its rules, and what verify says about it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.generated_firewall import (
    End,
    FirewallRule,
    Wall,
    hosts_of,
)
from netprobe.analysis.intent.verdicts import THIS_HOST
from netprobe.bus.operator import Access, open_asker
from netprobe.errors import SystemRefusedError
from netprobe.lab.client import LabClient
from netprobe.model.check import Expectation
from netprobe.model.intent import (
    Cell,
    CellCause,
    CellResult,
    CellVerdict,
    Intent,
    LocateDrops,
    PortSpec,
    Protocol,
    Requirements,
)
from netprobe.model.names import AgentId
from netprobe.model.snapshot import Snapshot
from netprobe.workflows.verification import verify_cells

_ROOT = Path(__file__).parents[1]
Place = tuple[End, End, str, int]


def load_rules(client: LabClient, wall: Wall, hosts: Iterable[str]) -> None:
    """Let *hosts* have the rules that *wall* gives them."""
    for host in hosts:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as told:
            assert told.stdin is not None
            assert told.stdout is not None
            told.stdin.write(wall.text(host).encode())
            told.stdin.close()
            code = client.execute(host, ["nft", "-f", "-"], files=(told.stdout.fileno(), 1, 2), folder="/")
        if code:
            raise SystemRefusedError(f"nft on {host} exits with {code}")


@contextlib.contextmanager
def listening(client: LabClient, wall: Wall) -> Iterator[None]:
    """On every host, something that answers on the listening ports, over TCP and UDP."""
    with contextlib.ExitStack() as stack:
        ready = [stack.enter_context(_listener(client, host, wall.listening)) for host in _hosts(wall)]
        for host, told in zip(_hosts(wall), ready, strict=True):
            if told.readline() != b"ready\n":
                raise SystemRefusedError(f"the listeners on {host} did not start")
        yield


def _hosts(wall: Wall) -> list[str]:
    return sorted({one.host for one in wall.ends})


@contextlib.contextmanager
def _listener(client: LabClient, host: str, ports: Iterable[int]) -> Iterator[IO[bytes]]:
    """One process; it ends when its standard input is closed."""
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as told,
    ):
        assert held.stdin is not None
        assert held.stdout is not None
        assert told.stdin is not None
        assert told.stdout is not None
        command = [sys.executable, "-m", "benchmarks.responders", "both", *map(str, sorted(ports))]
        files = (held.stdout.fileno(), told.stdin.fileno(), 2)
        running = threading.Thread(
            target=client.execute, args=(host, command), kwargs={"files": files, "folder": str(_ROOT)}
        )
        running.start()
        try:
            yield told.stdout
        finally:
            held.stdin.close()
            running.join()
            told.stdin.close()


@dataclass(frozen=True, slots=True)
class Case:
    """One cell with what is true of it."""

    cell: Cell
    place: Place
    rule: FirewallRule | None
    """Who decides; None where the packet passes."""


def make_cases(wall: Wall, places: Iterable[Place], *, meant: Wall | None = None) -> list[Case]:
    """The cells of *places*: what *meant* (else *wall*) says is expected, *wall* is what stands."""
    cases = []
    for place in places:
        source, target, protocol, port = place
        rule = wall.decide(*place)
        said = (meant or wall).decide(*place)
        expected = Expectation.DENY if said else Expectation.ALLOW
        cell = Cell(
            AgentId.parse(source.name), target.name, target.address, PortSpec(Protocol(protocol), port),
            expected, said.name if said else "passes", Requirements.PATH,
        )  # fmt: skip
        cases.append(Case(cell, place, rule))
    return cases


def witness_cells(wall: Wall) -> list[Cell]:
    """An echo between every two: nothing in a generated firewall stops one."""
    return [
        Cell(
            AgentId.parse(source.name), target.name, target.address, PortSpec(Protocol.ICMP),
            Expectation.ALLOW,
            "echo",
        )
        for source, target in wall.pairs()
    ]  # fmt: skip


async def see(
    access: Access, cells: Sequence[Cell], *, wall: Wall, snapshot: Snapshot, locate: LocateDrops
) -> dict[Cell, CellResult]:
    """What verify says about *cells*, over a connection of its own."""
    intent = Intent(responders=frozenset(PortSpec(Protocol.UDP, port) for port in wall.ports))
    async with open_asker(access, asked_by="verify") as asker:
        judged = await verify_cells(asker, cells, intent=intent, snapshot=snapshot, locate=locate)
    return {one.cell: one for one in judged}


def is_right(case: Case, told: CellResult, *, wall: Wall, addresses: dict[str, frozenset[str]]) -> bool:
    """Whether the verdict is right, for the right reason: answered, refused, dropped, or by whom rejected."""
    passes = case.rule is None
    is_meant = passes is (case.cell.expected is Expectation.ALLOW)
    wanted = CellVerdict.AS_INTENDED if is_meant else CellVerdict.LEAK if passes else CellVerdict.BROKEN
    if told.verdict is not wanted:
        return False
    if case.rule is None:
        is_open = case.place[3] in wall.listening
        return told.cause is (CellCause.ANSWERED if is_open else CellCause.PATH_FREE)
    if case.rule.is_reject:
        return told.at in addresses[case.rule.host]
    return told.at == THIS_HOST or told.cause is CellCause.DROPPED


def is_placed_right(
    case: Case, told: CellResult, *, wall: Wall, addresses: dict[str, frozenset[str]]
) -> bool:
    """Whether a drop lies exactly where its rule stands, as far as a TTL can tell.

    A router says that the TTL ran out before its forward chain sees the packet, so a drop there shows at the
    next hop: the pair is (the router, the next hop). In a target's input chain it is (the last router, the
    target); in our own output chain it is this host alone.
    """
    assert case.rule is not None
    source, target, _, _ = case.place
    way = wall.way(source, target)
    if case.rule.chain == "output":
        return told.at == THIS_HOST
    at = way.index(case.rule.host) - (case.rule.chain == "input")
    before = addresses[way[at]] if at else frozenset({THIS_HOST})
    return len(told.between) == 2 and told.between[0] in before and told.between[1] in addresses[way[at + 1]]


def addresses_of(client: LabClient) -> dict[str, frozenset[str]]:
    """Every host of the lab with its addresses."""
    hosts = client.status().hosts
    return {one.name: frozenset(text.partition("/")[0] for text in one.addresses) for one in hosts}


def stand(client: LabClient, wall: Wall) -> None:
    """Let the whole *wall* stand."""
    load_rules(client, wall, hosts_of(wall.rules))
