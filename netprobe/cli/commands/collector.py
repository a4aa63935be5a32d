"""``netprobe collector``: the service that plans, gathers, judges and answers."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
from functools import partial
from pathlib import Path

import click

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

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--inventory", type=_FILE, metavar="FILE",
              help="Who is there (YAML), as far as no API says it.")  # fmt: skip
@click.option("--clusters", "registered", type=_FILE, metavar="DIR",
              help="Registered clusters, a file each: their agents come in by ServiceAccount token, and "
                   "their APIs are watched.")  # fmt: skip
@click.option("--data", type=_FILE, required=True, metavar="DIR", help="Where everything is kept.")
@click.option("--listen", default="127.0.0.1:4222", show_default=True, metavar="HOST:PORT",
              help="Where agents and askers connect; port 0 takes a free one.")  # fmt: skip
@click.option("--bus-addresses", default="", metavar="IP,…",
              help="Where we are, behind no service: there agents tell us, if they can, what they see of "
                   "names and services.")  # fmt: skip
@click.option("--http", metavar="HOST:PORT",
              help="Answer /metrics (Prometheus), /healthz and /readyz there.")  # fmt: skip
@click.option("--keys", type=_FILE, metavar="FILE",
              help="Public keys of operators, and of agents without a token (JSON).")  # fmt: skip
@click.option("--tls-certificate", type=_FILE, metavar="FILE", help="The bus speaks TLS and shows this.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="The key of --tls-certificate.")
@click.option("--tls-client-ca", type=_FILE, metavar="FILE",
              help="Mutual TLS: who connects shows a certificate that one of these signed.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True,
              metavar="SECONDS", help="One round of all checks.")  # fmt: skip
@click.option("--keep", type=click.FloatRange(0.1), default=24.0, show_default=True, metavar="HOURS",
              help="How long reports are kept.")  # fmt: skip
@click.option("--epoch", type=click.IntRange(0), default=60, show_default=True, metavar="INTERVALS",
              help="How long a large fleet keeps one plan until others ask others; 0: for ever.")  # fmt: skip
@click.option("--history", default="", metavar="URL",
              help="Database of the history; by default an SQLite file below --data.")  # fmt: skip
@click.option("--budget", "budgets", type=(click.Choice(["agent", "cluster", "tunnel"]), click.IntRange(1)),
              multiple=True, metavar="agent|cluster|tunnel PROBES",
              help="The most probes per interval that one agent or one cluster sends, or that cross one "
                   "direction of a tunnel; may be given for each.")  # fmt: skip
@click.option("--flat", is_flag=True,
              help="Clusters reach each other directly where the inventory names no link at all: every node "
                   "is its own way to the others.")  # fmt: skip
def collector(  # noqa: PLR0913 - one for each option
    *, inventory: Path | None, registered: Path | None, data: Path, listen: str, bus_addresses: str,
    http: str | None, keys: Path | None, interval: float, keep: float, epoch: int, history: str,
    budgets: tuple[tuple[str, int], ...],
    tls_certificate: Path | None, tls_key: Path | None, tls_client_ca: Path | None,
    flat: bool,
) -> None:  # fmt: skip
    """Serve agents and askers until terminated: plan, gather, judge, answer."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if inventory is None and registered is None:
        raise InputError("nothing to probe: give --inventory, --clusters or both")
    at = Listen.parse(listen)
    settings = Settings(
        inventory, data, at, keys, bus=read_addresses(bus_addresses, port=at.port),
        interval_ns=round(interval * SECOND_NS), keep_ns=round(keep * HOUR_NS), epoch_intervals=epoch,
        history_url=history, clusters=registered, flat=flat,
        http=Listen.parse(http) if http is not None else None,
        tls=read_server_tls(tls_certificate, tls_key, tls_client_ca),
    )  # fmt: skip
    most = dict(budgets)
    policy = PlanPolicy(
        agent_budget=most.get("agent"),
        cluster_budget=most.get("cluster"),
        tunnel_budget=most.get("tunnel"),
    )
    asyncio.run(_serve(settings, AnalysisPorts(partial(plan, policy=policy), Analyst)))


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
        raise InputError("agents are told a port: give one in --listen", where="--bus-addresses")
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


async def _serve(settings: Settings, brains: AnalysisPorts) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_collector(settings, brains, stop=stop)


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
