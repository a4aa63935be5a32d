"""``netprobe collector``: the service that plans checks, collects and analyses reports, and answers."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--inventory", type=_FILE, metavar="FILE",
              help="Clusters and hosts (YAML) that no registered API reports.")  # fmt: skip
@click.option("--clusters", "registered", type=_FILE, metavar="DIR",
              help="Registered clusters, one file each: their agents log in by ServiceAccount token, and "
                   "their APIs are watched.")  # fmt: skip
@click.option("--data", type=_FILE, required=True, metavar="DIR", help="Where all state is kept.")
@click.option("--listen", default="127.0.0.1:4222", show_default=True, metavar="HOST:PORT",
              help="Address of the bus, for agents and operators; port 0 takes a free one.")  # fmt: skip
@click.option("--bus-addresses", default="", metavar="IP,…",
              help="The collector's own addresses, behind no service: agents report here, if they can, what "
                   "they see of names and services.")  # fmt: skip
@click.option("--http", metavar="HOST:PORT",
              help="Serve /metrics (Prometheus), /healthz and /readyz there.")  # fmt: skip
@click.option("--metrics-token", type=_FILE, metavar="FILE",
              help="Show /metrics to those who send this file's content as bearer token; without it, to "
                   "programs on this machine.")  # fmt: skip
@click.option("--keys", type=_FILE, metavar="FILE",
              help="Public keys of operators, and of agents without a token (JSON).")  # fmt: skip
@click.option("--tls-certificate", type=_FILE, metavar="FILE", help="The bus uses TLS with this certificate.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="The key of --tls-certificate.")
@click.option("--tls-client-ca", type=_FILE, metavar="FILE",
              help="Mutual TLS: clients need a certificate signed by one of these.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True,
              metavar="SECONDS", help="How long one round of all checks lasts.")  # fmt: skip
@click.option("--keep", type=click.FloatRange(0.1), default=24.0, show_default=True, metavar="HOURS",
              help="How long reports are kept.")  # fmt: skip
@click.option("--epoch", type=click.IntRange(0), default=60, show_default=True, metavar="INTERVALS",
              help="Rotate the plan of a large fleet to other pairs after this time; 0: never.")  # fmt: skip
@click.option("--history", default="", metavar="URL",
              help="Database of the history. Default: an SQLite file below --data.")  # fmt: skip
@click.option("--budget", "budgets", type=(click.Choice(["agent", "cluster", "tunnel"]), click.IntRange(1)),
              multiple=True, metavar="agent|cluster|tunnel PROBES",
              help="The most probes per interval that one agent or one cluster sends, or that cross one "
                   "direction of a tunnel; may be given for each.")  # fmt: skip
@click.option("--flat", is_flag=True,
              help="Clusters reach each other directly if the inventory names no link: every node is its own "
                   "path to the others.")  # fmt: skip
def collector(**asked: object) -> None:
    """Serve agents and operators until terminated: plan, collect, analyse, answer."""
    from netprobe.cli.actions.collector import CollectorOptions, run_collector_service

    run_collector_service(CollectorOptions(**asked))  # type: ignore[arg-type]  # click read each by its type
