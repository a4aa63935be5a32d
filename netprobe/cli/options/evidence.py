"""``--evidence``: what the gateways themselves know, for commands that show findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from netprobe.model.snapshot import Snapshot

C = TypeVar("C", bound=Callable[..., object])


def evidence_option(command: C) -> C:
    """Give a command ``--evidence``; it receives it as *evidence*."""
    told = "Also ask the gateways over SSH what they know (field ssh of the inventory)."
    return click.option("--evidence", is_flag=True, help=told)(command)


def weigh_by_gateways(snapshot: Snapshot) -> Snapshot:
    """The findings weighed by what gateways say; whoever could not be asked is named on stderr."""
    from netprobe.workflows.gateway_evidence import with_evidence  # noqa: PLC0415 - only those who ask pay for SSH

    weighed, silent = with_evidence(snapshot)
    for line in silent:
        click.echo(f"netprobe: no evidence from {line}", err=True)
    return weighed
