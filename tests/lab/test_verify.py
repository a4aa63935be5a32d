"""Intent against real packets: what passes, is dropped, is rejected, and what a dead node leaves unproven."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from netprobe.analysis.intent.expand import expand_cells
from netprobe.analysis.intent.judge import judge_cells
from netprobe.analysis.intent.read import read_intent
from netprobe.bus.ask import ask_snapshot
from netprobe.cli.rehearsal import LabInjector, Rehearsal
from netprobe.cli.verifying import see_cells
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.model.intent import CellVerdict, Judged

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
INTERVAL_NS = 1_000_000_000
SOURCE, TARGET = "prod-us-west-1/w2/pod", "staging-eu-central-1/w1"
GROUPS = """
version: 1
groups:
  asker: {clusters: [prod-us-west-1], nodes: [w2], planes: [pod]}
  asked: {clusters: [staging-eu-central-1], nodes: [w1], planes: [pod]}
"""
OPEN = "{verdict: allow, from: asker, to: asked, ports: [icmp, tcp/9771, udp/9771]}"
SHUT = "{verdict: deny, from: asker, to: asked, ports: [tcp/9771]}"


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    name = f"verify-{os.getpid()}"
    start_lab(Start(name, interval_ns=INTERVAL_NS, end_with_pid=os.getpid()), say=print)
    asyncio.run(until_healthy(name))
    yield name
    take_down(name)


async def until_healthy(name: str) -> None:
    """Every agent has its plan, so that each knows who may ask it."""
    access = find_access(name)
    rehearsal = Rehearsal(partial(ask_snapshot, access), LabInjector(LabClient(name)), INTERVAL_NS)
    await rehearsal.wait_until_healthy(timeout_s=90)


@contextmanager
def fault(name: str, kind: str, **parameters: str) -> Iterator[None]:
    injector = LabInjector(LabClient(name))
    identity, _ = asyncio.run(injector.add(kind, parameters))
    try:
        yield
    finally:
        asyncio.run(injector.remove(identity))


def verify(name: str, rule: str) -> dict[str, Judged]:
    intent = read_intent(f"{GROUPS}rules: [{rule}]", source="t", today=dt.date(2026, 11, 25))
    access = find_access(name)
    cells = expand_cells(intent, asyncio.run(ask_snapshot(access)).inventory)
    sights = see_cells(access, cells, agent_port=9771, asked_by="test")
    judged = judge_cells(cells, sights, responders=intent.responders)
    return {str(one.cell.door): one for one in judged}


def verdicts(judged: dict[str, Judged]) -> dict[str, str]:
    return {door: str(one.verdict) for door, one in judged.items()}


def test_what_is_open_is_as_intended_or_a_leak(name: str) -> None:
    doors = dict.fromkeys(("icmp", "tcp/9771", "udp/9771"), "as intended")
    assert verdicts(verify(name, OPEN)) == doors
    assert verdicts(verify(name, SHUT)) == {"tcp/9771": "leak"}


def test_a_drop_is_broken_and_with_a_witness_a_proven_denial(name: str) -> None:
    with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
        seen = verify(name, OPEN)
        assert verdicts(seen) == {"icmp": "as intended", "tcp/9771": "broken", "udp/9771": "as intended"}
        assert seen["tcp/9771"].reason == "dropped in silence"
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "as intended"}


def test_a_reject_names_its_sender(name: str) -> None:
    with fault(name, "port-reject", node=TARGET, port="tcp/9771"):
        refused = verify(name, OPEN)["tcp/9771"]
        assert refused.verdict is CellVerdict.BROKEN
        assert refused.at
        assert refused.reason == f"rejected by {refused.at}"
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "as intended"}


def test_a_dead_node_proves_no_denial(name: str) -> None:
    with fault(name, "node-down", node=TARGET):
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "unproven"}
        assert verdicts(verify(name, OPEN))["tcp/9771"] == "broken"
