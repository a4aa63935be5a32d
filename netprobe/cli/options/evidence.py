"""``--evidence``: what the gateways report about themselves, for commands that show findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import click


@dataclass(frozen=True, slots=True)
class EvidenceChoice:
    """Whether gateways are read, and the inventory that says how they are reached."""

    is_wanted: bool = False
    inventory: Path | None = None
    """None where the findings' own inventory says it; a bundle does not."""


def evidence_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--evidence`` and ``--ssh-inventory``; it receives both as *evidence*."""

    @click.option(
        "--evidence",
        "is_wanted",
        is_flag=True,
        help="Also read the gateways' own state over SSH (field ssh of the inventory).",
    )
    @click.option(
        "--ssh-inventory",
        "inventory",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The inventory that says how gateways are reached, for --evidence; a bundle does not say it.",
    )
    @wraps(command)
    def combined(*args: object, is_wanted: bool, inventory: Path | None, **kwargs: object) -> None:
        command(*args, **kwargs, evidence=EvidenceChoice(is_wanted or inventory is not None, inventory))

    return combined
