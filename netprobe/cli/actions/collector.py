"""``netprobe collector``: turns the options into settings and runs the service."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from netprobe.analysis.analyst import Analyst
from netprobe.bus.login import ServerTrust
from netprobe.bus.server import Listen, ServerTls
from netprobe.collector.persisted_state import PersistedState
from netprobe.collector.ports import AnalysisPorts
from netprobe.collector.service import run_collector
from netprobe.collector.settings import Settings
from netprobe.errors import InputError
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.units import HOUR_NS, SECOND_NS
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.policy import PlanPolicy


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """What the options say, as they say it."""

    inventory: Path | None
    registered: Path | None
    data: Path
    listen: str
    bus_addresses: str
    http: str | None
    metrics_token: Path | None
    keys: Path | None
    interval: float
    keep: float
    epoch: int
    history: str
    budgets: tuple[tuple[str, int], ...]
    tls_certificate: Path | None
    tls_key: Path | None
    tls_client_ca: Path | None
    flat: bool


def run_collector_service(asked: CollectorOptions) -> None:
    """Serve until terminated; :class:`InputError` before anything starts where an option is wrong."""
    if asked.inventory is None and asked.registered is None:
        raise InputError("nothing to probe: give --inventory, --clusters or both")
    at = Listen.parse(asked.listen)
    settings = Settings(
        asked.inventory, asked.data, at, asked.keys, bus=read_addresses(asked.bus_addresses, port=at.port),
        interval_ns=round(asked.interval * SECOND_NS), keep_ns=round(asked.keep * HOUR_NS),
        epoch_intervals=asked.epoch, history_url=asked.history, clusters=asked.registered, flat=asked.flat,
        http=Listen.parse(asked.http) if asked.http is not None else None,
        metrics_token=asked.metrics_token,
        tls=read_server_tls(asked.tls_certificate, asked.tls_key, asked.tls_client_ca),
    )  # fmt: skip
    most = dict(asked.budgets)
    policy = PlanPolicy(
        agent_budget=most.get("agent"),
        cluster_budget=most.get("cluster"),
        tunnel_budget=most.get("tunnel"),
    )
    asyncio.run(_serve(settings, make_ports(policy)))


def make_ports(policy: PlanPolicy) -> AnalysisPorts:
    """How this build plans and judges, and how epochs of earlier builds were planned."""
    former = replace(policy, are_variants_by_chance=True)
    return AnalysisPorts(partial(plan, policy=policy), Analyst, (partial(plan, policy=former),))


def read_addresses(text: str, *, port: int) -> tuple[str, ...]:
    """``IP:PORT`` for every address of *text*, which has commas between them; `InputError` for none.

    >>> read_addresses("10.41.0.7,fd00::7", port=4222)
    ('10.41.0.7:4222', '[fd00::7]:4222')
    """
    try:
        addresses = [ipaddress.ip_address(each) for each in text.split(",") if each]
    except ValueError as error:
        raise InputError(str(error), where="--bus-addresses") from error
    if addresses and port == 0:
        raise InputError("agents need a port: give one in --listen", where="--bus-addresses")
    return tuple(str(Listen(str(address), port)) for address in addresses)


def read_server_tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ServerTls | None:
    """What the bus shows; every mistake is one :class:`InputError` that names option or file."""
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        raise InputError("--tls-certificate and --tls-key go together")
    tls = ServerTls(certificate, key, client_ca)
    ServerTrust(client_ca, certificate, key).context()
    return tls


async def _serve(settings: Settings, analysis: AnalysisPorts) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_collector(settings, analysis, stop=stop)


def plan(
    inventory: Inventory, state: PersistedState, interval_ns: int, *, policy: PlanPolicy | None = None
) -> FleetPlan:
    """The plans of the epoch that *state* names."""
    return plan_fleet(
        inventory,
        epoch=state.epoch,
        seed=state.seed,
        interval_ns=interval_ns,
        cookie_key=bytes.fromhex(state.cookie_key),
        policy=policy,
    )
