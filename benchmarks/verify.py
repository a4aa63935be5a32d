"""Does verify say the truth about a generated firewall, at what rate, and does it find every changed rule?

A lab of three clusters with an agent in the host network and one in the pod network of every node. A
generated firewall stands on its pods, nodes, gateways and routers. Every agent asks everybody on 40 ports of
TCP and UDP, and each drop is walked to its hop. Then every rule is taken away by itself, and for each rule
another is added by itself; verify, which is told of the whole firewall, must call that a leak or broken, and
nothing else. Nothing is compared with a peer: the truth is the generated rule set, evaluated here
(``benchmarks.generated_firewall``).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.firewall_in_lab import (
    Case,
    addresses_of,
    is_placed_right,
    is_right,
    listening,
    load_rules,
    make_cases,
    see,
    stand,
    witness_cells,
)
from benchmarks.generated_firewall import (
    FirewallRule,
    Wall,
    find_ends,
    generate,
    invent,
    is_needed,
)
from netprobe.analysis.intent.availability import find_absent
from netprobe.bus.operator import Access, ask_snapshot
from netprobe.errors import SystemRefusedError
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.model.intent import CellResult, LocateDrops
from netprobe.model.snapshot import Snapshot

_SETTLE_S = 180.0
_INTERVAL_NS = 10_000_000_000
_TOPOLOGY = """
wan:
  transits: [transit-west, transit-east]
  cidrs: [100.64.0.0/20, "fd00:64::/48"]
hub: {name: ops, transit: transit-east, cidrs: [10.255.0.0/24, "fd00:255::/64"]}
clusters:
"""
_CLUSTER = """
  - name: {name}
    environment: {name}
    region: {name}
    transit: {transit}
    overlay: routes
    pod_mtu: 1420
    node_cidrs: [10.1{index}.0.0/24, "fd00:1{index}::/64"]
    pod_cidrs: [10.11{index}.0.0/16, "fd00:11{index}::/48"]
    service_cidrs: [10.21{index}.0.0/24, "fd00:21{index}::/112"]
    nodes: [{nodes}]
"""
_LINKS = """
links:
  - {source: red, target: green, kind: tunnel, mtu: 1420}
  - {source: green, target: blue, kind: tunnel, mtu: 1420}
  - {source: red, target: blue, kind: direct, mtu: 1500}
"""
_CLUSTERS = {"red": "transit-west", "green": "transit-east", "blue": "transit-west"}


@dataclass(frozen=True, slots=True)
class VerifyStage:
    """The lab with everything that runs in it."""

    client: LabClient
    access: Access
    snapshot: Snapshot
    wall: Wall
    addresses: dict[str, frozenset[str]]

    async def look(self, cases: Sequence[Case], *, locate: LocateDrops) -> dict[Case, CellResult]:
        """What verify says about *cases*, each pair's echo beside them."""
        pairs = {(case.cell.source, case.cell.address) for case in cases}
        echoes = [cell for cell in witness_cells(self.wall) if (cell.source, cell.address) in pairs]
        cells = [*echoes, *(case.cell for case in cases)]
        told = await see(self.access, cells, wall=self.wall, snapshot=self.snapshot, locate=locate)
        return {case: told[case.cell] for case in cases}


def run(arguments: list[str]) -> dict[str, object]:
    """Play it all and count."""
    asked = _parse(arguments)
    name = f"verify-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        topology = Path(folder, "topology.yaml")
        topology.write_text(make_topology(asked.nodes))
        start_lab(
            Start(name, topology=topology, interval_ns=_INTERVAL_NS, end_with_pid=os.getpid()), notify=_tell
        )
        try:
            return _play(name, asked)
        finally:
            take_down(name)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks verify")
    parser.add_argument("--nodes", type=int, default=5, help="nodes of each of the three clusters")
    parser.add_argument("--ports", type=int, default=40, help="ports of TCP, and as many of UDP")
    parser.add_argument("--rules", type=int, default=60)
    parser.add_argument("--mutants", type=int, default=-1, help="how many of each kind; -1 for every rule")
    parser.add_argument("--seed", type=int, default=6)
    return parser.parse_args(arguments)


def make_topology(nodes: int) -> str:
    """Three clusters of *nodes* nodes, joined by two tunnels and a direct link."""
    workers = ", ".join(f"{{name: w{number}}}" for number in range(1, nodes))
    listed = "{name: gw, role: gateway}" + (f", {workers}" if workers else "")
    clusters = [
        _CLUSTER.format(name=name, transit=transit, index=index, nodes=listed)
        for index, (name, transit) in enumerate(_CLUSTERS.items(), start=1)
    ]
    return _TOPOLOGY + "".join(clusters) + _LINKS


def bare_wall(snapshot: Snapshot, *, ports: int, seed: int) -> Wall:
    """No rule yet: who is there, and on which ports something listens."""
    chance = random.Random(seed)
    numbers = tuple(sorted(chance.sample(range(1000, 9000), ports)))
    return Wall(
        find_ends(snapshot.inventory), numbers, frozenset(numbers[::2]), dict(_CLUSTERS),
        ("transit-west", "transit-east"),
    )  # fmt: skip


def _play(name: str, asked: argparse.Namespace) -> dict[str, object]:
    access, client = find_access(name), LabClient(name)
    snapshot = asyncio.run(wait_for_agents(access))
    wall = generate(
        bare_wall(snapshot, ports=asked.ports, seed=asked.seed), count=asked.rules, seed=asked.seed
    )
    with listening(client, wall):
        stand(client, wall)
        stage = VerifyStage(client, access, snapshot, wall, addresses_of(client))
        figures = asyncio.run(_measure(stage))
        figures |= asyncio.run(_mutate(stage, most=asked.mutants, seed=asked.seed))
    return figures


async def wait_for_agents(access: Access) -> Snapshot:
    """The fleet once every agent has reported; until then, no agent has a plan."""
    until_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < until_s:
        snapshot = await ask_snapshot(access)
        if not find_absent(snapshot):
            return snapshot
        await asyncio.sleep(1)
    raise SystemRefusedError(f"not every agent has reported within {_SETTLE_S:g} s")


async def _measure(stage: VerifyStage) -> dict[str, object]:
    cases = make_cases(stage.wall, stage.wall.cells())
    first = {case.cell.source: case for case in cases}  # agents load their arrays with the first question
    await stage.look(tuple(first.values()), locate=LocateDrops.NONE)
    began = time.monotonic()
    await stage.look(cases, locate=LocateDrops.NONE)
    asked_s = time.monotonic() - began
    began = time.monotonic()
    told = await stage.look(cases, locate=LocateDrops.ALL)
    placed_s = time.monotonic() - began
    right = partial(is_right, wall=stage.wall, addresses=stage.addresses)
    wrong = [case for case in cases if not right(case, told[case])]
    drops = [case for case in cases if case.rule is not None and not case.rule.is_reject]
    misplaced = [case for case in drops if not _is_placed(stage, case, told[case])]
    for case in [*wrong[:10], *misplaced[:10]]:
        _tell(_describe(case, told[case]))
    return {
        "endpoints": len(stage.wall.ends), "ports": len(stage.wall.ports), "rules": len(stage.wall.rules),
        "cells": len(cases), "drops": len(drops),
        "kinds": dict(Counter(case.rule.action if case.rule else "passes" for case in cases)),
        "cell_accuracy": round(1 - len(wrong) / len(cases), 6),
        "hop_accuracy": round(1 - len(misplaced) / max(1, len(drops)), 6),
        "cells_per_s": round(len(cases) / asked_s),
        "cells_per_s_with_every_drop_placed": round(len(cases) / placed_s),
    }  # fmt: skip


def _describe(case: Case, told: CellResult) -> str:
    cell, rule = case.cell, case.rule
    truth = f"{rule.name} ({rule.action}, {rule.chain} of {rule.host})" if rule else "passes"
    return f"{cell.source} → {cell.target} {cell.door}: {told.verdict}, {told.reason} {told.at}; {truth}"


def _is_placed(stage: VerifyStage, case: Case, told: CellResult) -> bool:
    return is_placed_right(case, told, wall=stage.wall, addresses=stage.addresses)


async def _mutate(stage: VerifyStage, *, most: int, seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    rules = stage.wall.rules if most < 0 else tuple(chance.sample(stage.wall.rules, most))
    found: Counter[str] = Counter()
    began = time.monotonic()
    for rule in rules:
        found["removed"] += await is_found(stage, stage.wall.without(rule), rule)
        added = invent(stage.wall, chance, "added", rule.action)
        found["added"] += await is_found(stage, stage.wall.plus(added), added)
    return {
        "rules_removed": len(rules), "removals_found": found["removed"],
        "rules_added": len(rules), "additions_found": found["added"],
        "needed_rules": sum(is_needed(stage.wall, rule) for rule in stage.wall.rules),
        "seconds_per_mutant": round((time.monotonic() - began) / max(1, 2 * len(rules)), 2),
    }  # fmt: skip


async def is_found(stage: VerifyStage, changed: Wall, rule: FirewallRule) -> bool:
    """Whether verify, told of the old firewall, names exactly the cells that *changed* has changed.

    Asked is every cell that *rule* fits, whatever decides about it; no other packet meets the change.
    """
    cases = make_cases(changed, stage.wall.touched(rule), meant=stage.wall)
    load_rules(stage.client, changed, [rule.host])
    try:
        told = await stage.look(cases, locate=LocateDrops.NONE)
    finally:
        load_rules(stage.client, stage.wall, [rule.host])
    right = partial(is_right, wall=stage.wall, addresses=stage.addresses)
    differing = [case for case in cases if told[case].verdict != "as intended"]
    wrong = [case for case in cases if not right(case, told[case])]
    if wrong or not differing:
        where = f"{rule.name} ({rule.action}, {rule.chain} of {rule.host})"
        _tell(f"not found, or not exactly: {where}; {len(differing)} of {len(cases)} cells differ")
    for case in wrong[:10]:
        _tell(f"  wrong: {_describe(case, told[case])}")
    return bool(differing) and not wrong


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
