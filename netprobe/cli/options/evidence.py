"""``--evidence``: what the gateways report about themselves, for commands that show findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

C = TypeVar("C", bound=Callable[..., object])


def evidence_option(command: C) -> C:
    """Give a command ``--evidence``; it receives it as *evidence*."""
    about = "Also read the gateways' own state over SSH (field ssh of the inventory)."
    return click.option("--evidence", is_flag=True, help=about)(command)
