"""What the gateways' own evidence does to a finding's confidence, on the lab's real faults and real tunnels.

Each fault is injected into a running lab; when it is named, both gateways are read twice, as over SSH but
through the lab's own access, and the finding is weighed. Prints the confidence
without and with evidence, per fault.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import ipaddress
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.analysis.gateway_evidence.contradictions import find_contradictions
from netprobe.analysis.gateway_evidence.correlation import (
    CrossEvidence,
    PingPlan,
    PingResult,
    choose_ping_plan,
)
from netprobe.analysis.gateway_evidence.statements import GatewayReadings
from netprobe.analysis.gateway_evidence.weighting import weigh_finding
from netprobe.bus.operator import ask_snapshot
from netprobe.discovery.gateway.readings import gather_evidence
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.fallback_tools import read_ping_series
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.fault_drill import DrillFault, FaultDrill, LabInjector
from netprobe.model.finding import Finding
from netprobe.model.gateway import LinkCounters, Reading, TunnelPeer
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.inventory import Inventory, Node, NodeRole

PROD, STAGING, DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"
FAULTS = (
    DrillFault("tunnel-down", {"source": PROD, "target": STAGING}),
    DrillFault("tunnel-port-blocked", {"source": STAGING, "target": DEV}),
    DrillFault("tunnel-one-way", {"source": STAGING, "target": PROD}),
    DrillFault("gateway-down", {"cluster": DEV}),
)
_HEALTHY_S = 120.0
_NAMED_S = 60.0
_BETWEEN_S = 3.0


@dataclass(frozen=True, slots=True)
class _Answer:
    output: bytes
    complaint: str
    status: int | None


@dataclass(frozen=True, slots=True)
class _LabHost:
    """A gateway of the lab; runs the same commands that SSH would."""

    client: LabClient
    host: str

    async def run(self, command: Command, /) -> _Answer:
        return await asyncio.to_thread(self._run, command)

    def _run(self, command: Command) -> _Answer:
        with (
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as complaint,
            Path(os.devnull).open() as none,
        ):
            files = (none.fileno(), output.fileno(), complaint.fileno())
            code = self.client.execute(self.host, command.argv(), files=files, folder="/")
            output.seek(0)
            complaint.seek(0)
            return _Answer(output.read(), complaint.read(200).decode(errors="replace"), code)


def run(arguments: list[str]) -> dict[str, object]:
    """Inject each fault, weigh what is found, and return the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks evidence")
    parser.add_argument("--only", default="", help="kinds to play, separated by commas")
    kinds = set(filter(None, parser.parse_args(arguments).only.split(",")))
    name = f"evidence-{os.getpid()}"
    try:
        start_lab(Start(name, end_with_pid=os.getpid()), notify=lambda text: print(text, file=sys.stderr))
        return asyncio.run(_play(name, [fault for fault in FAULTS if not kinds or fault.kind in kinds]))
    finally:
        take_down(name)


async def _play(name: str, faults: list[DrillFault]) -> dict[str, object]:
    ask = functools.partial(ask_snapshot, find_access(name))
    client = LabClient(name)
    injector = LabInjector(client)
    rehearsal = FaultDrill(ask, injector, 1_000_000_000)
    rows: dict[str, object] = {}
    moved: list[tuple[float, float]] = []
    for fault in faults:
        await rehearsal.wait_until_healthy(timeout_s=_HEALTHY_S)
        identity, label = await injector.add(fault.kind, fault.parameters)
        try:
            finding, inventory = await _until_named(rehearsal, label)
            witnesses, heard = await _ask_gateways(client, inventory, finding)
        finally:
            await injector.remove(identity)
        weighed = weigh_finding(finding, witnesses, inventory=inventory, heard=heard)
        contradictions = find_contradictions([finding], witnesses, inventory=inventory)
        moved.append((finding.confidence, weighed.confidence))
        told = [
            each.text
            for each in weighed.evidence_for[: len(weighed.evidence_for) - len(finding.evidence_for)]
        ]
        rows[fault.name] = {
            "cause": str(finding.cause), "without_evidence": finding.confidence,
            "with_evidence": weighed.confidence, "contradictions": len(contradictions), "said": told,
        }  # fmt: skip
        print(fault.name, rows[fault.name], file=sys.stderr, flush=True)
    return {
        "faults": len(moved),
        "confidence_rose": sum(after > before for before, after in moved),
        "confidence_fell": sum(after < before for before, after in moved),
        "mean_without_evidence": round(sum(before for before, _ in moved) / len(moved), 4),
        "mean_with_evidence": round(sum(after for _, after in moved) / len(moved), 4),
        **rows,
    }


async def _until_named(rehearsal: FaultDrill, label: GroundTruth) -> tuple[Finding, Inventory]:
    deadline = time.monotonic() + _NAMED_S
    while time.monotonic() < deadline:
        snapshot = await rehearsal.ask()
        for finding in snapshot.findings:
            if finding.cause is label.cause and set(finding.components) & set(label.components):
                return finding, snapshot.inventory
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{label.cause} was not named within {_NAMED_S:g} s")


async def _ask_gateways(
    client: LabClient, inventory: Inventory, finding: Finding
) -> tuple[list[GatewayReadings], CrossEvidence]:
    """Every gateway that others reach from outside, read twice with a volley of pings in between."""
    gateways = {
        str(cluster.node_id(node)): (_LabHost(client, str(cluster.node_id(node))), node)
        for cluster in inventory.clusters
        for node in cluster.nodes
        if node.role is NodeRole.GATEWAY
    }
    near = {name: host for name, (host, _) in gateways.items()}
    answers = await asyncio.gather(*(_is_reached(near, name, node) for name, (_, node) in gateways.items()))
    silent = tuple(name for name, answer in zip(gateways, answers, strict=True) if not answer)
    reached = [name for name in gateways if name not in silent]
    before = await asyncio.gather(*(_read(near[name], name) for name in reached))
    volley, _ = await asyncio.gather(
        _send(near, choose_ping_plan(finding, inventory)), asyncio.sleep(_BETWEEN_S)
    )
    after = await asyncio.gather(*(_read(near[name], name) for name in reached))
    return [GatewayReadings(late, early) for early, late in zip(before, after, strict=True)], CrossEvidence(
        volley, silent
    )


async def _is_reached(near: dict[str, _LabHost], name: str, node: Node) -> bool:
    """Whether any other gateway gets an answer from its outer address: SSH would come the same way."""
    address = ipaddress.ip_address(node.outer_addresses[0])
    others = (host for other, host in near.items() if other != name)
    answers = await asyncio.gather(*(host.run(Command("ping", address)) for host in others))
    return any(answer.status == 0 for answer in answers)


async def _read(host: _LabHost, node: str) -> Reading:
    return _own(await gather_evidence(host, node=node, taken_ns=time.time_ns()))


async def _send(near: dict[str, _LabHost], shot: PingPlan | None) -> PingResult | None:
    if shot is None:
        return None
    command = Command("volley", ipaddress.ip_address(shot.address))
    counted = read_ping_series((await near[shot.source].run(command)).output)
    return PingResult(shot.source, shot.target, *counted) if counted is not None else None


def _own(reading: Reading) -> Reading:
    """Without tunnels of other gateways: wireguard-go's sockets lie in the one /run that a lab has."""
    links = {fact.interface for fact in reading.facts if isinstance(fact, LinkCounters)}
    kept = tuple(f for f in reading.facts if not isinstance(f, TunnelPeer) or f.interface in links)
    return replace(reading, facts=kept)
