"""Hear the gateways around findings: read each twice, with packets of our own in between.

Rule: one that does not answer is named and left out of what follows.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.analysis.gateway_evidence.contradictions import find_contradictions
from netprobe.analysis.gateway_evidence.correlation import (
    CrossEvidence,
    PingPlan,
    PingResult,
    choose_ping_plan,
)
from netprobe.analysis.gateway_evidence.statements import DROP_CAUSES, GatewayReadings
from netprobe.analysis.gateway_evidence.weighting import weigh_finding
from netprobe.discovery.gateway.readings import gather_evidence
from netprobe.discovery.inventory.file import load_inventory
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import open_host
from netprobe.discovery.ssh.errors import HostOutputError, NoAnswerError, SshError
from netprobe.discovery.ssh.fallback_tools import read_ping_series
from netprobe.discovery.ssh.fan_out import ask_many
from netprobe.errors import InputError
from netprobe.model.gateway import Reading
from netprobe.model.inventory import Inventory, NodeRole
from netprobe.model.snapshot import Snapshot
from netprobe.workflows.ssh_hosts import HOST_S, find_hosts, show_progress

if TYPE_CHECKING:
    from netprobe.model.finding import Finding
    from netprobe.model.ssh import SshAccess

_NO_LOGIN = (
    "the inventory says of no gateway how it is reached over SSH (field ssh), and a bundle never does: "
    "name the inventory that does with --ssh-inventory"
)
_BETWEEN_S = 3.0
"""Between two readings: long enough for a few probes of every interval in use."""


@dataclass(frozen=True, slots=True)
class _GatewayAnswers:
    """What the gateways said: two readings by name, why others said nothing, and our packets in between."""

    readings: dict[str, tuple[Reading, Reading]]
    errors: dict[str, SshError | HostOutputError]
    volley: PingResult | None


def with_evidence(snapshot: Snapshot) -> tuple[Snapshot, tuple[str, ...]]:
    """The snapshot with its findings weighed by the gateways' own evidence, and who could not be asked."""
    inventory = snapshot.inventory
    gateways = _find_gateways(inventory)
    aimed, shot = _aim(snapshot.findings, inventory, gateways)
    told = asyncio.run(_hear(gateways, shot))
    silent = tuple(name for name, error in told.errors.items() if isinstance(error, NoAnswerError))
    weighed = []
    for finding in snapshot.findings:
        volley = told.volley if finding is aimed else None
        sent = volley.sent if volley is not None else None
        witnesses = [GatewayReadings(after, before, sent) for before, after in told.readings.values()]
        heard = CrossEvidence(volley, silent)
        weighed.append(weigh_finding(finding, witnesses, inventory=inventory, heard=heard))
    witnesses = [GatewayReadings(after, before) for before, after in told.readings.values()]
    weighed += find_contradictions(snapshot.findings, witnesses, inventory=inventory)
    ordered = tuple(sorted(weighed, key=lambda finding: -finding.confidence))
    return replace(snapshot, findings=ordered), tuple(f"{name}: {what}" for name, what in told.errors.items())


def with_logins(inventory: Inventory, path: Path) -> Inventory:
    """*inventory*, its nodes reached over SSH as the file says; `InputError` if it cannot be read."""
    said = load_inventory(path)
    access = {
        cluster.node_id(node): node.ssh for cluster in said.clusters for node in cluster.nodes if node.ssh
    }
    clusters = tuple(
        replace(
            cluster,
            nodes=tuple(
                replace(node, ssh=access.get(cluster.node_id(node), node.ssh)) for node in cluster.nodes
            ),
        )
        for cluster in inventory.clusters
    )
    return replace(inventory, clusters=clusters, forwards=said.forwards or inventory.forwards)


def _find_gateways(inventory: Inventory) -> dict[str, SshAccess]:
    own = {
        str(cluster.node_id(node))
        for cluster in inventory.clusters
        for node in cluster.nodes
        if node.role is NodeRole.GATEWAY
    }
    if not any(node.ssh for cluster in inventory.clusters for node in cluster.nodes):
        raise InputError(_NO_LOGIN)
    gateways = {name: access for name, access in find_hosts(inventory).items() if name in own}
    if not gateways:
        raise InputError(_NO_LOGIN)
    return gateways


def _aim(
    findings: tuple[Finding, ...], inventory: Inventory, gateways: dict[str, SshAccess]
) -> tuple[Finding | None, PingPlan | None]:
    """The surest finding that packets of our own can cross: one only, or no counter could be told ours."""
    for finding in sorted(findings, key=lambda finding: -finding.confidence):
        shot = choose_ping_plan(finding, inventory) if finding.cause in DROP_CAUSES else None
        if shot is not None and shot.source in gateways:
            return finding, shot
    return None, None


async def _hear(gateways: dict[str, SshAccess], shot: PingPlan | None) -> _GatewayAnswers:
    before = await _read_all(gateways)
    heard = {name: gateways[name] for name, what in before.items() if isinstance(what, Reading)}
    volley, _ = await asyncio.gather(_send(heard, shot), asyncio.sleep(_BETWEEN_S))
    after = await _read_all(heard)
    readings, errors = {}, {}
    for name, first in before.items():
        second = after.get(name, first)
        if isinstance(first, Reading) and isinstance(second, Reading):
            readings[name] = (first, second)
        elif not isinstance(second, Reading):
            errors[name] = second
    return _GatewayAnswers(readings, errors, volley)


async def _read_all(gateways: dict[str, SshAccess]) -> dict[str, Reading | SshError | HostOutputError]:
    async def read(item: tuple[str, SshAccess]) -> Reading:
        node, access = item
        async with open_host(access) as host:
            return await gather_evidence(host, node=node, taken_ns=time.time_ns())

    named = {name: (name, access) for name, access in gateways.items()}
    return await ask_many(named, read, timeout_s=HOST_S, done=show_progress(len(gateways)))


async def _send(gateways: dict[str, SshAccess], shot: PingPlan | None) -> PingResult | None:
    """Our packets; None where they cannot be sent."""
    if shot is None or shot.source not in gateways:
        return None
    target = ipaddress.ip_address(shot.address)

    async def ask(access: SshAccess) -> tuple[int, int] | None:
        async with open_host(access) as host:
            return read_ping_series((await host.run(Command("volley", target))).output)

    told = await ask_many({shot.source: gateways[shot.source]}, ask, timeout_s=HOST_S)
    counted = told[shot.source]
    if not isinstance(counted, tuple):
        return None
    sent, answered = counted
    return PingResult(shot.source, shot.target, sent, answered)
