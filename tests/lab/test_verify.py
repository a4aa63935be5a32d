"""Intent against real packets: what passes, is dropped, is rejected, and what nobody can prove.

A generated firewall (``benchmarks.wall``) knows the truth about every cell by itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from benchmarks.standing_wall import (
    addresses_of,
    is_placed_right,
    is_right,
    listening,
    load_rules,
    make_cases,
    stand,
)
from benchmarks.verify import Stage, is_found, wait_for_agents
from benchmarks.wall import Wall, find_ends, generate, hosts_of, invent
from netprobe.analysis.intent.expand import expand_cells
from netprobe.analysis.intent.observe import Baseline, question_of, write_baseline
from netprobe.analysis.intent.read import parse_span, read_intent
from netprobe.bus.ask import ask_snapshot, open_asker
from netprobe.cli.rehearsal import LabInjector
from netprobe.cli.verifying import Locate, see_cells, verify_cells
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.model.intent import CellVerdict, Intent, Judged
from netprobe.model.snapshot import Snapshot
from netprobe.wire.documents import write_document

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
TODAY = dt.date(2026, 11, 25)
INTERVAL_NS = 1_000_000_000
SOURCE, TARGET = "prod-us-west-1/w2/pod", "staging-eu-central-1/w1"
GROUPS = """
version: 1
groups:
  asker: {clusters: [prod-us-west-1], nodes: [w2], planes: [pod]}
  asked: {clusters: [staging-eu-central-1], nodes: [w1], planes: [pod]}
"""
OPEN = "{verdict: allow, from: asker, to: asked, ports: [icmp, tcp/9771, udp/9771]}"
PORTS = (1200, 1201, 1300, 1310, 1320, 1330, 1340, 1350, 1360, 1370)
ENDS = {
    "prod-us-west-1/gw/host", "prod-us-west-1/w2/pod", "prod-us-west-1/w1/host",
    "staging-eu-central-1/gw/host", "staging-eu-central-1/gw/outer", "staging-eu-central-1/w1/pod",
}  # fmt: skip
SHUT = "{verdict: deny, from: asker, to: asked, ports: [tcp/9771]}"


AT_ONCE: dict[str, Judged] = {}
"""What verify says before anybody waits for the agents."""


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    name = f"verify-{os.getpid()}"
    start_lab(Start(name, interval_ns=INTERVAL_NS, end_with_pid=os.getpid()), say=print)
    AT_ONCE.update(verify(name, OPEN, snapshot=state_of(name)))
    asyncio.run(wait_for_agents(find_access(name)))
    yield name
    take_down(name)


@contextmanager
def fault(name: str, kind: str, **parameters: str) -> Iterator[None]:
    injector = LabInjector(LabClient(name))
    identity, _ = asyncio.run(injector.add(kind, parameters))
    try:
        yield
    finally:
        asyncio.run(injector.remove(identity))


def verify(name: str, rule: str, *, snapshot: Snapshot | None = None) -> dict[str, Judged]:
    """What verify says; unless told the state of the fleet, it waits until every agent has reported."""
    return asyncio.run(ask_cells(name, rule, snapshot))


async def ask_cells(name: str, rule: str, snapshot: Snapshot | None) -> dict[str, Judged]:
    intent = read_intent(f"{GROUPS}rules: [{rule}]", source="t", today=TODAY)
    return {str(one.cell.door): one for one in await look(name, intent, snapshot)}


async def look(name: str, intent: Intent, snapshot: Snapshot | None = None) -> tuple[Judged, ...]:
    access = find_access(name)
    seen = snapshot or await wait_for_agents(access)
    cells = expand_cells(intent, seen.inventory)
    async with open_asker(access, asked_by="test") as asker:
        return await verify_cells(asker, cells, intent=intent, snapshot=seen)


def state_of(name: str) -> Snapshot:
    return asyncio.run(ask_snapshot(find_access(name)))


def verdicts(judged: dict[str, Judged]) -> dict[str, str]:
    return {door: str(one.verdict) for door, one in judged.items()}


def test_an_agent_without_a_plan_makes_nothing_broken(name: str) -> None:
    assert name
    told = {one.verdict: one.reason for one in AT_ONCE.values()}
    assert set(told) <= {CellVerdict.AS_INTENDED, CellVerdict.UNPROVEN}
    assert told.get(CellVerdict.UNPROVEN, "the agent ")[:10] == "the agent "


def test_what_is_open_is_as_intended_or_a_leak(name: str) -> None:
    doors = dict.fromkeys(("icmp", "tcp/9771", "udp/9771"), "as intended")
    assert verdicts(verify(name, OPEN)) == doors
    assert verdicts(verify(name, SHUT)) == {"tcp/9771": "leak"}


def test_a_drop_is_broken_and_with_a_witness_a_proven_denial(name: str) -> None:
    with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
        seen = verify(name, OPEN)
        assert verdicts(seen) == {"icmp": "as intended", "tcp/9771": "broken", "udp/9771": "as intended"}
        assert seen["tcp/9771"].reason.startswith("dropped in silence by hop 4 (")
        assert seen["tcp/9771"].between[1] == seen["tcp/9771"].cell.address
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "as intended"}


def test_a_reject_names_its_sender(name: str) -> None:
    with fault(name, "port-reject", node=TARGET, port="tcp/9771"):
        refused = verify(name, OPEN)["tcp/9771"]
        assert refused.verdict is CellVerdict.BROKEN
        assert refused.at
        assert refused.reason == f"rejected by {refused.at}"
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "as intended"}


def test_both_ip_versions_are_asked(name: str) -> None:
    intent = read_intent(f"{GROUPS}families: all\nrules: [{OPEN}]", source="t", today=TODAY)
    judged = asyncio.run(look(name, intent))
    assert len(judged) == 6
    assert {":" in one.cell.address for one in judged} == {True, False}
    assert [one for one in judged if one.verdict is not CellVerdict.AS_INTENDED] == []


def test_a_baseline_of_what_is_observed_is_accepted(name: str) -> None:
    with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
        baseline = asyncio.run(observe(name))
        text = write_document(msgspec.to_builtins(baseline.document))
        judged = asyncio.run(look(name, read_intent(text, source="baseline", today=TODAY)))
        assert {one.verdict for one in judged} == {CellVerdict.AS_INTENDED}
        assert "deny" in text
    differing = [
        one
        for one in asyncio.run(look(name, read_intent(text, source="baseline", today=TODAY)))
        if one.verdict is not CellVerdict.AS_INTENDED
    ]
    assert {one.verdict for one in differing} == {CellVerdict.LEAK}
    assert {str(one.cell.door) for one in differing} == {"tcp/9771"}


async def observe(name: str) -> Baseline:
    access = find_access(name)
    inventory = (await wait_for_agents(access)).inventory
    asked = question_of(tuple(map(parse_span, ("icmp", "tcp/9771-9772", "udp/9771"))))
    cells = [
        cell
        for cell in expand_cells(asked, inventory)
        if str(cell.source) == SOURCE and cell.target.endswith("/pod")
    ]
    async with open_asker(access, asked_by="test") as asker:
        sights = await see_cells(asker, cells, agent_port=9771, absent={})
    return write_baseline(cells, sights, inventory, responders=frozenset(parse_span("udp/9771").doors()))


def test_a_dead_node_proves_no_denial(name: str) -> None:
    healthy = asyncio.run(wait_for_agents(find_access(name)))
    with fault(name, "node-down", node=TARGET):
        assert verdicts(verify(name, SHUT, snapshot=healthy)) == {"tcp/9771": "unproven"}
        assert verdicts(verify(name, OPEN, snapshot=healthy))["tcp/9771"] == "broken"


def test_a_blocked_witness_proves_no_denial(name: str) -> None:
    healthy, client = asyncio.run(wait_for_agents(find_access(name))), LabClient(name)
    rules = "add table ip blocked; add chain ip blocked i { type filter hook input priority 0; policy drop; }"
    host = f"{TARGET}/pod"
    assert client.run(host, "nft", rules)[0] == 0
    try:
        told = verify(name, SHUT, snapshot=healthy)["tcp/9771"]
    finally:
        client.run(host, "nft", "delete table ip blocked")
    assert (told.verdict, told.reason) == (CellVerdict.UNPROVEN, "nothing on this host answered")


@pytest.fixture(scope="module")
def stage(name: str) -> Iterator[Stage]:
    """A small generated firewall of every kind of rule, with everything that listens behind it."""
    access, client = find_access(name), LabClient(name)
    snapshot = asyncio.run(wait_for_agents(access))
    ends = tuple(end for end in find_ends(snapshot.inventory) if end.name in ENDS)
    transits = {"prod-us-west-1": "transit-west", "staging-eu-central-1": "transit-east"}
    bare = Wall(ends, PORTS, frozenset(PORTS[::2]), transits, ("transit-west", "transit-east"))
    wall = generate(bare, count=10, seed=3)
    with listening(client, wall):
        stand(client, wall)
        yield Stage(client, access, snapshot, wall, addresses_of(client))
        load_rules(client, bare, hosts_of(wall.rules))


def test_every_cell_of_a_generated_firewall_is_right_and_every_drop_is_placed(stage: Stage) -> None:
    cases = make_cases(stage.wall, stage.wall.cells())
    told = asyncio.run(stage.look(cases, locate=Locate.ALL))
    kinds = {case.rule.action if case.rule else "passes" for case in cases}
    assert kinds == {"passes", "drop", "reject", "limited", "one-way"}
    assert [
        (case, told[case])
        for case in cases
        if not is_right(case, told[case], wall=stage.wall, addresses=stage.addresses)
    ] == []
    assert [
        (case, told[case])
        for case in cases
        if case.rule is not None
        and not case.rule.is_reject
        and not is_placed_right(case, told[case], wall=stage.wall, addresses=stage.addresses)
    ] == []


@pytest.mark.parametrize("number", [0, 2, 3, 4])
def test_a_changed_rule_is_found_and_nothing_else(stage: Stage, number: int) -> None:
    rule = stage.wall.rules[number]
    added = invent(stage.wall, random.Random(number), "added", rule.action)
    assert asyncio.run(is_found(stage, stage.wall.without(rule), rule))
    assert asyncio.run(is_found(stage, stage.wall.plus(added), added))
