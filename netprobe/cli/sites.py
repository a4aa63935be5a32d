"""``netprobe sites``: plain hosts, gateways and bastions over SSH.

Exit codes of ``status``: 0 every host answers, 1 one does not, 2 the question could not be asked.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.gateways import Seen, ask_hosts, find_hosts, pair_of
from netprobe.cli.output import form_option, print_view
from netprobe.discovery.ssh.many import MOST_AT_ONCE
from netprobe.discovery.static import load_inventory
from netprobe.render.sites import HostRow, sites_document, sites_table


@click.group()
def sites() -> None:
    """Plain hosts, gateways and bastions over SSH."""


@sites.command()
@click.argument("names", metavar="[SITE|SITE/HOST]...", nargs=-1)
@click.option("--inventory", "path", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="The inventory that says how each host is reached.")  # fmt: skip
@click.option("--to", "target", metavar="ADDRESS", help="Also tell where each host routes this address.")
@click.option("--at-once", type=click.IntRange(1, 1000), default=MOST_AT_ONCE, show_default=True,
              metavar="N", help="Hosts asked at the same time.")  # fmt: skip
@form_option
@click.pass_context
def status(
    context: click.Context, *, names: tuple[str, ...], path: Path, target: str | None, at_once: int, form: str
) -> None:
    """Say which hosts answer, with their verified key, uptime, Python, tools, and what they know themselves.

    Read-only: a fixed list of commands runs on each host, nothing is installed or changed.
    """
    hosts = find_hosts(load_inventory(path), names)
    told = ask_hosts(hosts, at_once=at_once, pair=pair_of(target))
    rows = tuple(
        HostRow(name, str(hosts[name].target), tuple(str(jump) for jump in hosts[name].jumps),
                what.status if isinstance(what, Seen) else None,
                what.reading if isinstance(what, Seen) else None,
                None if isinstance(what, Seen) else str(what))
        for name, what in told.items()
    )  # fmt: skip
    print_view(form, table=lambda: sites_table(rows), document=lambda: sites_document(rows))
    context.exit(0 if all(row.error is None for row in rows) else 1)
