"""Intent against real packets: what passes, is dropped, is rejected, and what cannot be proved.

A generated firewall (``benchmarks.generated_firewall``) knows the truth about every cell by itself.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from _pytest.mark import ParameterSet

from benchmarks.firewall_in_lab import (
    addresses_of,
    is_placed_right,
    is_right,
    listening,
    load_rules,
    make_cases,
    stand,
)
from benchmarks.generated_firewall import (
    Wall,
    find_ends,
    generate,
    hosts_of,
    invent,
)
from benchmarks.verify import VerifyStage, is_found, wait_for_agents
from netprobe.analysis.intent.baseline import Baseline, question_of, write_baseline
from netprobe.analysis.intent.document import parse_span, read_intent
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.bus.operator import open_asker
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient
from netprobe.lab.fault_drill import LabInjector
from netprobe.model.finding import Cause
from netprobe.model.intent import CellResult, CellVerdict, LocateDrops
from netprobe.model.names import NodeId
from netprobe.render.labels import Names, headline, is_broken
from netprobe.wire.documents import write_document
from netprobe.workflows.verification import see_cells
from tests.lab.conftest import FullLab
from tests.lab.findings import find_cause, find_past, state_of, wait_for_finding
from tests.lab.intents import GROUPS, OPEN, SHUT, SOURCE, TARGET, TODAY, verify, verify_intent
from tests.lab.resumed_agent import verify_while_stopped

pytestmark = [pytest.mark.lab, pytest.mark.quiet, pytest.mark.timeout(180)]
PORTS = (1200, 1201, 1300, 1310, 1320, 1330, 1340, 1350, 1360, 1370)
RULES = 10
ENDS = {
    "prod-us-west-1/gw/host", "prod-us-west-1/w2/pod", "prod-us-west-1/w1/host",
    "staging-eu-central-1/gw/host", "staging-eu-central-1/gw/outer", "staging-eu-central-1/w1/pod",
}  # fmt: skip


@pytest.fixture(scope="module")
def name(healthy_lab: FullLab) -> str:
    return healthy_lab.name


@contextmanager
def fault(name: str, kind: str, **parameters: str) -> Iterator[None]:
    injector = LabInjector(LabClient(name))
    identity, _ = asyncio.run(injector.add(kind, parameters))
    try:
        yield
    finally:
        asyncio.run(injector.remove(identity))


def verdicts(judged: dict[str, CellResult]) -> dict[str, str]:
    return {door: str(one.verdict) for door, one in judged.items()}


def test_an_agent_without_a_plan_makes_nothing_broken(full_lab: FullLab) -> None:
    told = {one.verdict: one.reason for one in full_lab.first_verdicts.values()}
    assert set(told) <= {CellVerdict.AS_INTENDED, CellVerdict.UNPROVEN}
    assert str(told.get(CellVerdict.UNPROVEN, "the agent "))[:10] == "the agent "


def test_what_is_open_is_as_intended_or_a_leak(name: str) -> None:
    doors = dict.fromkeys(("icmp", "tcp/9771", "udp/9771"), "as intended")
    assert verdicts(verify(name, OPEN)) == doors
    assert verdicts(verify(name, SHUT)) == {"tcp/9771": "leak"}


def test_a_drop_is_broken_and_with_a_witness_a_proven_denial(name: str) -> None:
    with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
        seen = verify(name, OPEN)
        assert verdicts(seen) == {"icmp": "as intended", "tcp/9771": "broken", "udp/9771": "as intended"}
        assert str(seen["tcp/9771"].reason).startswith("dropped in silence by hop 4 (")
        assert seen["tcp/9771"].between[1] == seen["tcp/9771"].cell.address
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "as intended"}


def test_a_reject_names_its_sender(name: str) -> None:
    with fault(name, "port-reject", node=TARGET, port="tcp/9771"):
        refused = verify(name, OPEN)["tcp/9771"]
        assert refused.verdict is CellVerdict.BROKEN
        assert refused.at
        assert str(refused.reason) == f"rejected by {refused.at}"
        assert verdicts(verify(name, SHUT)) == {"tcp/9771": "as intended"}


def test_both_ip_versions_are_asked(name: str) -> None:
    intent = read_intent(f"{GROUPS}families: all\nrules: [{OPEN}]", source="t", today=TODAY)
    judged = asyncio.run(verify_intent(name, intent))
    assert len(judged) == 6
    assert {":" in one.cell.address for one in judged} == {True, False}
    assert [one for one in judged if one.verdict is not CellVerdict.AS_INTENDED] == []


def test_a_baseline_of_what_is_observed_is_accepted(name: str) -> None:
    with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
        baseline = asyncio.run(observe(name))
        text = write_document(msgspec.to_builtins(baseline.document))
        judged = asyncio.run(verify_intent(name, read_intent(text, source="baseline", today=TODAY)))
        assert {one.verdict for one in judged} == {CellVerdict.AS_INTENDED}
        assert "deny" in text
    differing = [
        one
        for one in asyncio.run(verify_intent(name, read_intent(text, source="baseline", today=TODAY)))
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
    return write_baseline(cells, sights, inventory, responders=frozenset(parse_span("udp/9771").port_specs()))


def test_an_agent_that_is_stopped_for_a_moment_breaks_nothing(name: str) -> None:
    """Its own port is silent during the first question, and answers when it is asked again."""
    access, intent = find_access(name), read_intent(f"{GROUPS}rules: [{OPEN}]", source="t", today=TODAY)
    snapshot = asyncio.run(wait_for_agents(access))
    cells = expand_cells(intent, snapshot.inventory)
    stopped = verify_while_stopped(
        access, LabInjector(LabClient(name)), cells, agent=f"{TARGET}/pod", intent=intent, snapshot=snapshot
    )
    assert {(str(one.cell.door), str(one.verdict)) for one in asyncio.run(stopped)} == {
        (door, "as intended") for door in ("icmp", "tcp/9771", "udp/9771")
    }


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
    assert (told.verdict, str(told.reason)) == (CellVerdict.UNPROVEN, "nothing on this host answered")


NODE_PORT, ENTRY_PORT = 30_080, 30_443
FORWARD = "type filter hook forward priority 0"
NAT = "type nat hook prerouting priority -100; tcp dport {} dnat to {}:9771"
MASQUERADE = "type nat hook postrouting priority 100; tcp dport 9771 masquerade"
"""As kube-proxy and load balancers do it, so that answers come back the same way."""


@contextmanager
def table(name: str, host: str, *chains: str, family: str = "ip") -> Iterator[None]:
    """A table of nftables on *host* while the block runs."""
    client = LabClient(name)
    text = "".join(f"add chain {family} extra c{n} {{ {chain.partition(';')[0]}; }}; "
                   f"add rule {family} extra c{n} {chain.partition(';')[2]}; "
                   for n, chain in enumerate(chains))  # fmt: skip
    assert client.run(host, "nft", f"add table {family} extra; {text}")[0] == 0
    try:
        yield
    finally:
        client.run(host, "nft", f"delete table {family} extra")


def ask_intent(name: str, text: str) -> dict[tuple[str, str], CellResult]:
    """What verify says about a whole intent, by target and port."""
    judged = asyncio.run(verify_intent(name, read_intent(text, source="t", today=TODAY)))
    return {(one.cell.target, str(one.cell.door)): one for one in judged}


def address_of(name: str, target: str) -> str:
    cluster, node, _ = target.split("/")
    found = state_of(name).inventory.find_node(NodeId.parse(f"{cluster}/{node}"))
    assert found is not None
    return next(text for text in found.pod_addresses if ":" not in text)


def test_a_node_port_is_a_door_of_the_node(name: str) -> None:
    pod = address_of(name, f"{TARGET}/pod")
    groups = GROUPS.replace("nodes: [w1], planes: [pod]", "nodes: [w1], planes: [host]")
    allow = f"{groups}rules: [{{verdict: allow, from: asker, to: asked, ports: [icmp, tcp/{NODE_PORT}]}}]"
    deny, door = allow.replace("allow", "deny"), (f"{TARGET}/host", f"tcp/{NODE_PORT}")
    closed = ask_intent(name, allow)[door]
    assert (closed.verdict, str(closed.reason)[:7]) == (CellVerdict.BROKEN, "refused")
    with table(name, TARGET, NAT.format(NODE_PORT, pod), MASQUERADE):
        assert ask_intent(name, allow)[door].verdict is CellVerdict.AS_INTENDED
        assert ask_intent(name, deny)[door].verdict is CellVerdict.LEAK
        with table(name, TARGET, f"{FORWARD}; tcp dport 9771 drop", family="inet"):
            assert str(ask_intent(name, allow)[door].reason).startswith("dropped in silence")
            assert ask_intent(name, deny)[door].verdict is CellVerdict.AS_INTENDED


def test_clusters_are_independent_but_for_a_named_entry_point(name: str) -> None:
    gateway = next(
        node for cluster in state_of(name).inventory.clusters if cluster.name == "staging-eu-central-1"
        for node in cluster.gateways
    )  # fmt: skip
    outer = next(text for text in gateway.outer_addresses if ":" not in text)
    intent = f"""
version: 1
ports: [tcp/9771]
groups:
  prod: {{clusters: [prod-us-west-1], nodes: [gw], planes: [host]}}
  staging: {{clusters: [staging-eu-central-1], nodes: [w1], planes: [pod]}}
  edge: {{cidrs: [{outer}/32]}}
patterns:
  - {{pattern: independent, groups: [prod, staging], entry_points: [{{to: edge, ports: [tcp/{ENTRY_PORT}]}}]}}
rules: [{{verdict: allow, from: prod, to: edge, ports: [icmp]}}]
"""
    entry, around = (outer, f"tcp/{ENTRY_PORT}"), (f"{TARGET}/pod", "tcp/9771")
    assert ask_intent(name, intent)[entry].verdict is CellVerdict.BROKEN
    host = "staging-eu-central-1/gw"
    with table(name, host, NAT.format(ENTRY_PORT, address_of(name, f"{TARGET}/pod")), MASQUERADE):
        told = ask_intent(name, intent)
        assert told[entry].verdict is CellVerdict.AS_INTENDED
        assert told[around].verdict is CellVerdict.LEAK
        with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
            told = ask_intent(name, intent)
            assert (told[entry].verdict, told[around].verdict) == (
                CellVerdict.BROKEN,
                CellVerdict.AS_INTENDED,
            )


def test_a_drop_of_ipv6_is_placed_at_its_hop(name: str) -> None:
    intent = read_intent(f"{GROUPS}families: all\nrules: [{OPEN}]", source="t", today=TODAY)
    with table(name, TARGET, f"{FORWARD}; tcp dport 9771 drop", family="ip6"):
        told = {
            (":" in one.cell.address, str(one.cell.door)): one
            for one in asyncio.run(verify_intent(name, intent))
        }
    dropped = told.pop((True, "tcp/9771"))
    assert {one.verdict for one in told.values()} == {CellVerdict.AS_INTENDED}
    assert dropped.verdict is CellVerdict.BROKEN
    assert str(dropped.reason).startswith("dropped in silence by hop ")
    before, after = dropped.between
    assert before in addresses_of(LabClient(name))[TARGET]
    assert after == dropped.cell.address


@pytest.mark.parametrize(("words", "asked"), [((), 1), (("--exhaustive",), 3)], ids=["sample", "exhaustive"])
def test_a_sample_leaves_cells_out_and_exhaustive_asks_them_all(
    name: str, tmp_path: Path, words: tuple[str, ...], asked: int
) -> None:
    (tmp_path / "wanted.yaml").write_text(f"{GROUPS}rules: [{OPEN}]")
    looking = ["verify", "-f", str(tmp_path / "wanted.yaml"), "--lab", name, "--sample", "1", "-o", "json"]
    ran = subprocess.run(
        [sys.executable, "-m", "netprobe", *looking, *words], capture_output=True, check=True
    )
    assert len(json.loads(ran.stdout)["cells"]) == asked
    assert (b"1 of 3 cells" in ran.stderr) is (asked == 1), ran.stderr


@pytest.mark.timeout(600)
def test_what_a_watch_sees_is_a_finding_of_the_collector_while_it_lasts(name: str, tmp_path: Path) -> None:
    (tmp_path / "wanted.yaml").write_text(f"{GROUPS}rules: [{SHUT}]")
    watching = ["verify", "-f", str(tmp_path / "wanted.yaml"), "--lab", name, "--watch", "1"]
    with subprocess.Popen([sys.executable, "-m", "netprobe", *watching], stdout=subprocess.PIPE) as watch:
        try:
            found = wait_for_finding(name, lambda now: find_cause(now, Cause.INTENT_LEAK))
            assert str(found.components[0]) == "intent(prod-us-west-1→staging-eu-central-1 rule 1)"
            now = state_of(name)
            assert is_broken(now)
            assert headline(found, Names.of(now.inventory)) == "leak prod → staging: rule 1"
            with fault(name, "port-drop", node=TARGET, port="tcp/9771"):
                over = wait_for_finding(name, lambda now: find_past(now, found))
                assert (over.ended_ns is not None, over.evidence_against) == (True, ())
            again = wait_for_finding(name, lambda now: find_cause(now, Cause.INTENT_LEAK))
        finally:
            watch.send_signal(signal.SIGINT)
        assert watch.wait(60) == 1
    over = wait_for_finding(name, lambda now: find_past(now, again))
    assert "a repair is not confirmed" in str(over.evidence_against[0].text)
    assert find_cause(state_of(name), Cause.INTENT_LEAK) is None


@pytest.fixture(scope="module")
def stage(name: str) -> Iterator[VerifyStage]:
    """A small generated firewall of every kind of rule, with everything that listens behind it.

    It stands until the last test of this file, so tests that need a lab without it come before.
    """
    access, client = find_access(name), LabClient(name)
    snapshot = asyncio.run(wait_for_agents(access))
    ends = tuple(end for end in find_ends(snapshot.inventory) if end.name in ENDS)
    transits = {"prod-us-west-1": "transit-west", "staging-eu-central-1": "transit-east"}
    bare = Wall(ends, PORTS, frozenset(PORTS[::2]), transits, ("transit-west", "transit-east"))
    wall = generate(bare, count=RULES, seed=3)
    with listening(client, wall):
        stand(client, wall)
        yield VerifyStage(client, access, snapshot, wall, addresses_of(client))
        load_rules(client, bare, hosts_of(wall.rules))


def rule_number(number: int) -> ParameterSet:
    """The rules of one wall, each of its own kind; two are enough for `make test`."""
    return pytest.param(number, marks=[pytest.mark.slow] if number >= 2 else [])  # two sweeps for each


def test_every_cell_of_a_generated_firewall_is_right_and_every_drop_is_placed(stage: VerifyStage) -> None:
    cases = make_cases(stage.wall, stage.wall.cells())
    told = asyncio.run(stage.look(cases, locate=LocateDrops.ALL))
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


@pytest.mark.parametrize("number", [rule_number(number) for number in range(RULES)])
def test_a_changed_rule_is_found_and_nothing_else(stage: VerifyStage, number: int) -> None:
    rule = stage.wall.rules[number]
    added = invent(stage.wall, random.Random(number), "added", rule.action)
    assert asyncio.run(is_found(stage, stage.wall.without(rule), rule))
    assert asyncio.run(is_found(stage, stage.wall.plus(added), added))
